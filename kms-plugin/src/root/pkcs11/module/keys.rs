//! Finding the versions of the key.

use std::cmp::Ordering;

use cryptoki::{
    object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle},
    session::Session,
};

use super::{Failure, Key, failure};

/// An AES key of the token.
pub(super) struct Found {
    pub(super) handle: ObjectHandle,
    /// `CKA_ID`, in lower-case hexadecimal digits.
    pub(super) id: String,
}

/// All keys of the label, or those of them that are listed.
pub(super) fn find(session: &Session, key: &Key) -> Result<Vec<Found>, Failure> {
    let failed = |error| failure::of("the token does not list its keys", error);
    let handles = session
        .find_objects(&[
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(true),
            Attribute::Label(key.label.clone().into_bytes()),
        ])
        .map_err(failed)?;
    let mut found = Vec::new();
    for handle in handles {
        let attributes = session
            .get_attributes(handle, &[AttributeType::Id])
            .map_err(failed)?;
        let id = match attributes.as_slice() {
            [Attribute::Id(id)] if !id.is_empty() => hex::encode(id),
            _ => continue,
        };
        if key.ids.is_empty() || key.ids.contains(&id) {
            found.push(Found { handle, id });
        }
    }
    Ok(found)
}

/// The key that wraps: the first that is listed; if none is, the one with the highest number.
pub(super) fn current<'a>(keys: &'a [Found], wanted: &Key) -> Result<&'a Found, Failure> {
    let id = match wanted.ids.first() {
        Some(id) => id,
        None => {
            &keys
                .iter()
                .max_by(|a, b| by_number(&a.id, &b.id))
                .ok_or_else(|| {
                    Failure::Refused(format!(
                        "the token has no AES key with the label {:?} and a CKA_ID",
                        wanted.label
                    ))
                })?
                .id
        }
    };
    of_id(keys, wanted, id)
}

/// The one key of this `CKA_ID`.
pub(super) fn of_id<'a>(keys: &'a [Found], wanted: &Key, id: &str) -> Result<&'a Found, Failure> {
    let mut of_id = keys.iter().filter(|key| key.id == id);
    let named = format!("the label {:?} and the CKA_ID {id}", wanted.label);
    match (of_id.next(), of_id.next()) {
        (Some(key), None) => Ok(key),
        (None, _) => Err(Failure::Refused(format!(
            "the token has no AES key with {named}"
        ))),
        // No revocation: whoever made the second one may not have meant to.
        (Some(_), Some(_)) => Err(Failure::Unreachable(format!(
            "the token has several AES keys with {named}; give each another CKA_ID"
        ))),
    }
}

/// Compares as the numbers that the digits are; of one number, more digits are more.
fn by_number(a: &str, b: &str) -> Ordering {
    let digits = |text: &str| text.trim_start_matches('0').to_owned();
    let (x, y) = (digits(a), digits(b));
    (x.len(), x, a.len()).cmp(&(y.len(), y, b.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_compared_as_numbers() {
        for (less, more) in [("01", "02"), ("ff", "0100"), ("09", "0a"), ("01", "0001")] {
            assert_eq!(by_number(less, more), Ordering::Less, "{less} {more}");
            assert_eq!(by_number(more, less), Ordering::Greater, "{less} {more}");
        }
        assert_eq!(by_number("0a", "0a"), Ordering::Equal);
    }
}
