//! What was worked, whatever else the machine did meanwhile.

use std::{error::Error, fs};

/// Of which processes the time is asked.
#[derive(Clone, Copy)]
pub(crate) enum Whose {
    /// Of this one.
    Ours,
    /// Of all children that were waited for.
    Children,
}

/// CPU time until now, in seconds: `utime` and `stime`, or `cutime` and `cstime`, of proc_pid_stat(5), in
/// ticks of which Linux tells a hundred per second.
pub(crate) fn cpu_time(whose: Whose) -> Result<f64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, behind_name) = stat.rsplit_once(')').ok_or("/proc/self/stat has no name")?;
    let before = match whose {
        Whose::Ours => 11,
        Whose::Children => 13,
    };
    let ticks = behind_name.split_whitespace().skip(before).take(2);
    let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / 100.0)
}
