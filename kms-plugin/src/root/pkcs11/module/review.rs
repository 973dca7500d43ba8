//! What an operator will regret.

use std::os::unix::fs::MetadataExt;

use cryptoki::{
    object::{Attribute, AttributeType},
    session::Session,
};

use super::{Failure, Module, failure, keys, keys::Found};

const ATTRIBUTES: [AttributeType; 13] = [
    AttributeType::Sensitive,
    AttributeType::AlwaysSensitive,
    AttributeType::Extractable,
    AttributeType::NeverExtractable,
    AttributeType::Private,
    AttributeType::ValueLen,
    AttributeType::Encrypt,
    AttributeType::Decrypt,
    AttributeType::Wrap,
    AttributeType::Unwrap,
    AttributeType::Sign,
    AttributeType::Verify,
    AttributeType::Derive,
];

/// A sentence for each.
pub(super) fn of(
    module: &Module,
    session: &Session,
    keys: &[Found],
) -> Result<Vec<String>, Failure> {
    let mut sentences = Vec::new();
    let path = module.path.display();
    match std::fs::metadata(&module.path) {
        Ok(metadata) if metadata.mode() & 0o022 != 0 || metadata.uid() != 0 => sentences.push(
            format!("the module {path} may be written by others than root, who could put another in its place"),
        ),
        Ok(_) => {}
        Err(error) => sentences.push(format!("the module {path} cannot be looked at: {error}")),
    }

    let info = module.info()?;
    if !info.login_required() {
        sentences
            .push("the token asks for no login, so whoever reaches it can use the key".to_owned());
    }
    if info.user_pin_count_low() {
        sentences.push("the token has counted a wrong PIN since the last login".to_owned());
    }
    if info.user_pin_to_be_changed() {
        sentences.push(
            "the user PIN is the one that the token was initialised with; change it".to_owned(),
        );
    }

    let current = keys::current(keys, &module.key)?;
    module.seal(session, current)?;
    for key in keys {
        let attributes = session
            .get_attributes(key.handle, &ATTRIBUTES)
            .map_err(|error| failure::of("the token does not say what the key is", error))?;
        let (gcm, key_wrap) = uses(&attributes);
        for attribute in &attributes {
            if let Some(fault) = fault(attribute) {
                sentences.push(format!("the key {} {fault}", key.id));
            }
        }
        if gcm && key_wrap {
            sentences.push(format!(
                "the key {} may both encrypt and wrap, so it can bring keys that it wraps into the open; one of the two is enough",
                key.id
            ));
        }
    }
    Ok(sentences)
}

/// Whether the key may decrypt, and whether it may wrap or unwrap.
fn uses(attributes: &[Attribute]) -> (bool, bool) {
    let any = |of: fn(&Attribute) -> bool| attributes.iter().any(of);
    (
        any(|attribute| {
            matches!(
                attribute,
                Attribute::Encrypt(true) | Attribute::Decrypt(true)
            )
        }),
        any(|attribute| matches!(attribute, Attribute::Wrap(true) | Attribute::Unwrap(true))),
    )
}

fn fault(attribute: &Attribute) -> Option<String> {
    Some(
        match attribute {
            Attribute::Sensitive(false) => "can be read in the clear (CKA_SENSITIVE is false)",
            Attribute::AlwaysSensitive(false) => {
                "could once be read in the clear, or was made outside of the token (CKA_ALWAYS_SENSITIVE is false)"
            }
            Attribute::Extractable(true) => "can leave the token (CKA_EXTRACTABLE is true)",
            Attribute::NeverExtractable(false) => {
                "could once leave the token, or was made outside of it (CKA_NEVER_EXTRACTABLE is false)"
            }
            Attribute::Private(false) => "can be seen without a login (CKA_PRIVATE is false)",
            Attribute::Sign(true) | Attribute::Verify(true) => "may also sign or verify",
            Attribute::Derive(true) => "may also derive keys",
            Attribute::ValueLen(len) if **len != 32 => {
                return Some(format!("has {} bits; make one of 256", **len * 8));
            }
            _ => return None,
        }
        .to_owned(),
    )
}
