//! Finding the token.

use cryptoki::{context::Pkcs11, mechanism::MechanismType, slot::Slot};

use super::{Failure, Token, failure};

/// Finds the token among the slots: its slot and its serial number.
pub(super) fn find(pkcs11: &Pkcs11, wanted: &Token) -> Result<(Slot, String), Failure> {
    let failed = |error| failure::of("the module does not list its tokens", error);
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for slot in pkcs11.get_slots_with_token().map_err(failed)? {
        // A slot that does not answer is not ours to judge.
        let Ok(info) = pkcs11.get_token_info(slot) else {
            continue;
        };
        if !info.token_initialized() {
            continue;
        }
        let is_wanted = match wanted {
            Token::Label(label) => info.label() == label,
            Token::Serial(serial) => info.serial_number() == serial,
        };
        if is_wanted {
            found.push((slot, info.serial_number().to_owned()));
        }
        seen.push(format!(
            "{:?} (serial number {:?})",
            info.label(),
            info.serial_number()
        ));
    }
    let wanted = match wanted {
        Token::Label(label) => format!("the label {label:?}"),
        Token::Serial(serial) => format!("the serial number {serial:?}"),
    };
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] if seen.is_empty() => Err(Failure::Unreachable(format!(
            "no token has {wanted}: the module shows none at all"
        ))),
        [] => Err(Failure::Unreachable(format!(
            "no token has {wanted}, only: {}",
            seen.join(", ")
        ))),
        _ => Err(Failure::Unreachable(format!(
            "several tokens have {wanted}; say which with `tokenSerial`: {}",
            seen.join(", ")
        ))),
    }
}

/// Whether the token can do what a local KEK needs with AES keys of 256 bits.
pub(super) fn able(pkcs11: &Pkcs11, slot: Slot, mechanism: MechanismType) -> bool {
    pkcs11
        .get_mechanism_info(slot, mechanism)
        .is_ok_and(|info| {
            if mechanism == MechanismType::AES_GCM {
                info.encrypt() && info.decrypt()
            } else {
                info.wrap() && info.unwrap()
            }
        })
}
