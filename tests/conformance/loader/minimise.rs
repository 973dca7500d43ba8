//! The smallest file that still shows a fault.

/// Removes lines, then bytes, in ever smaller runs, as long as `fails` holds.
pub(super) fn minimise(file: Vec<u8>, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let lines = file.split_inclusive(|byte| *byte == b'\n');
    let lines = shrink(lines.map(<[u8]>::to_vec).collect(), &mut fails);
    let bytes = lines.concat().into_iter().map(|byte| vec![byte]).collect();
    shrink(bytes, &mut fails).concat()
}

fn shrink(mut parts: Vec<Vec<u8>>, fails: &mut impl FnMut(&[u8]) -> bool) -> Vec<Vec<u8>> {
    let mut run = parts.len().next_power_of_two() / 2;
    while run > 0 {
        let before = parts.len();
        let mut start = 0;
        while start < parts.len() {
            let end = (start + run).min(parts.len());
            let rest = [&parts[..start], &parts[end..]].concat();
            if fails(&rest.concat()) {
                parts = rest;
            } else {
                start = end;
            }
        }
        // Once more at this size where it helped.
        if parts.len() == before {
            run /= 2;
        }
    }
    parts
}
