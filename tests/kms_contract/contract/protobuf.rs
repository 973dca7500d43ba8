//! Protobuf's wire format by hand (<https://protobuf.dev/programming-guides/encoding/>): the bytes
//! are the contract, so no generated code stands between a rule and the wire.

/// The wire type of strings, bytes, maps and messages.
const DELIMITED: u8 = 2;

/// One field of strings, bytes or messages. A field that holds its default, nothing, is left out.
pub(crate) fn field(number: u32, value: &[u8]) -> Vec<u8> {
    if value.is_empty() {
        return Vec::new();
    }
    delimited(number, value)
}

/// One entry of a map from strings to bytes; in these, empty keys and values are written too.
pub(crate) fn entry(number: u32, key: &str, value: &[u8]) -> Vec<u8> {
    let entry = [delimited(1, key.as_bytes()), delimited(2, value)].concat();
    delimited(number, &entry)
}

fn delimited(number: u32, value: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    put_varint(&mut field, u64::from(number) << 3 | u64::from(DELIMITED));
    put_varint(&mut field, value.len() as u64);
    field.extend_from_slice(value);
    field
}

/// Seven bits a byte, the low ones first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Number and value of a field. Values of another wire type than strings, bytes and messages have
/// are no more than that wire type here.
pub(crate) type Field<'a> = (u64, Result<&'a [u8], u8>);

/// The fields of a message in the order of the bytes.
pub(crate) fn fields(mut message: &[u8]) -> Result<Vec<Field<'_>>, String> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let tag = take_varint(&mut message)?;
        let (number, wire_type) = (tag >> 3, (tag & 7) as u8);
        if !(1..1 << 29).contains(&number) {
            return Err(format!("{number} is no field number"));
        }
        let value = match wire_type {
            0 => take_varint(&mut message).map(|_| Err(0))?,
            1 => take(&mut message, 8).map(|_| Err(1))?,
            DELIMITED => {
                let len = take_varint(&mut message)?;
                Ok(take(&mut message, len)?)
            }
            5 => take(&mut message, 4).map(|_| Err(5))?,
            other => return Err(format!("{other} is no wire type of proto3")),
        };
        fields.push((number, value));
    }
    Ok(fields)
}

fn take<'a>(message: &mut &'a [u8], len: u64) -> Result<&'a [u8], String> {
    let taken = usize::try_from(len)
        .ok()
        .and_then(|len| message.split_off(..len));
    taken.ok_or_else(|| format!("{len} bytes are announced and {} are there", message.len()))
}

fn take_varint(message: &mut &[u8]) -> Result<u64, String> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)?[0];
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err("a varint is longer than 64 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let long = [7; 300];
        let message = [field(1, b"ab"), field(2, b""), entry(4, "k", &long)].concat();
        assert_eq!(message[..4], *b"\x0a\x02ab");
        assert_eq!(message[4..7], [0x22, 0xb2, 0x02]);
        let read = fields(&message).unwrap();
        assert_eq!(read[0], (1, Ok(&b"ab"[..])));
        let (4, Ok(inner)) = read[1] else { panic!() };
        let inner = fields(inner).unwrap();
        assert_eq!(inner, [(1, Ok(&b"k"[..])), (2, Ok(&long[..]))]);
    }

    #[test]
    fn other_wire_types_are_told_and_damage_is_found() {
        let message = b"\x08\x96\x01\x1112345678\x1d1234\xfa\xff\xff\xff\x0f\x00";
        let read = fields(message).unwrap();
        let last = (1 << 29) - 1;
        assert_eq!(
            read,
            [(1, Err(0)), (2, Err(1)), (3, Err(5)), (last, Ok(&b""[..]))]
        );
        for damaged in [
            &b"\x0a"[..],
            b"\x0a\x02a",
            b"\x08\xff",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
            b"\x02\x00",
            b"\x0b",
            b"\x09 1234",
        ] {
            assert!(fields(damaged).is_err(), "{damaged:?}");
        }
    }
}
