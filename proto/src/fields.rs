/// The fields of a protobuf message, borrowed from its bytes
/// (<https://protobuf.dev/programming-guides/encoding/>). Ends after the first error.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

/// What one field holds, as far as the wire says.
pub(crate) enum Field<'a> {
    /// Bytes, a string or a message.
    Bytes(&'a [u8]),
    /// A number of variable length.
    Varint(u64),
    /// A number of fixed length or a group: well-formed, and skipped.
    Other,
}

/// The bytes are no protobuf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed;

impl<'a> Fields<'a> {
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// What was not read yet.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    fn field(&mut self) -> Result<(u32, Field<'a>), Malformed> {
        let (number, wire_type) = self.key()?;
        let field = match wire_type {
            START_GROUP => self.skip_group(number)?,
            wire_type => self.value(wire_type)?,
        };
        Ok((number, field))
    }

    fn key(&mut self) -> Result<(u32, u64), Malformed> {
        let key = self.varint()?;
        match u32::try_from(key >> 3) {
            Ok(number @ 1..=MAX_NUMBER) => Ok((number, key & 7)),
            _ => Err(Malformed),
        }
    }

    fn value(&mut self, wire_type: u64) -> Result<Field<'a>, Malformed> {
        match wire_type {
            VARINT => self.varint().map(Field::Varint),
            FIXED_64 => self.take(8).map(|_| Field::Other),
            LENGTH_DELIMITED => {
                let len = self.varint()?;
                self.take(len).map(Field::Bytes)
            }
            FIXED_32 => self.take(4).map(|_| Field::Other),
            _ => Err(Malformed),
        }
    }

    /// Groups are not used any more, but unknown fields may be anything.
    fn skip_group(&mut self, number: u32) -> Result<Field<'a>, Malformed> {
        let mut open = vec![number];
        while let Some(innermost) = open.last() {
            match self.key()? {
                (number, START_GROUP) => open.push(number),
                (number, END_GROUP) if number == *innermost => drop(open.pop()),
                (_, wire_type) => {
                    self.value(wire_type)?;
                }
            }
        }
        Ok(Field::Other)
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(Malformed)?;
            self.rest = rest;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return Err(Malformed);
            }
            number |= bits << shift;
            if *byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8], Malformed> {
        let len = usize::try_from(len).map_err(|_| Malformed)?;
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
}

const MAX_NUMBER: u32 = (1 << 29) - 1;

const VARINT: u64 = 0;
const FIXED_64: u64 = 1;
const LENGTH_DELIMITED: u64 = 2;
const START_GROUP: u64 = 3;
const END_GROUP: u64 = 4;
const FIXED_32: u64 = 5;

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Field<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}
