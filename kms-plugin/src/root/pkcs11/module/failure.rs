//! What the answers of a token mean.

use cryptoki::error::{Error, RvError};

use super::Failure;

/// The class of an error of any function but `C_Login`. `doing` says what could not be done.
pub(super) fn of(doing: &str, error: Error) -> Failure {
    let what = format!("{doing}: {}", words(&error));
    match error {
        Error::Pkcs11(RvError::UserNotLoggedIn, _) => Failure::LoginNeeded,
        Error::Pkcs11(
            RvError::ActionProhibited
            | RvError::FunctionRejected
            | RvError::KeyFunctionNotPermitted
            | RvError::KeyHandleInvalid
            | RvError::KeySizeRange
            | RvError::KeyTypeInconsistent
            | RvError::ObjectHandleInvalid
            | RvError::UnwrappingKeyHandleInvalid
            | RvError::UnwrappingKeySizeRange
            | RvError::UnwrappingKeyTypeInconsistent
            | RvError::WrappingKeyHandleInvalid
            | RvError::WrappingKeySizeRange
            | RvError::WrappingKeyTypeInconsistent,
            _,
        ) => Failure::Refused(what),
        Error::Pkcs11(
            RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::UnknownErrorCode(AEAD_DECRYPT_FAILED)
            | RvError::WrappedKeyInvalid
            | RvError::WrappedKeyLenRange,
            _,
        ) => Failure::Corrupt(what),
        _ => Failure::Unreachable(what),
    }
}

/// `CKR_AEAD_DECRYPT_FAILED` of PKCS#11 3.0.
const AEAD_DECRYPT_FAILED: u64 = 0x42;

/// The class of an error of `C_Login`; `None` if it says that it was not needed.
pub(super) fn of_login(error: Error) -> Option<Failure> {
    let what = format!("the token refuses the login: {}", words(&error));
    Some(match error {
        Error::Pkcs11(RvError::UserAlreadyLoggedIn, _) => return None,
        Error::Pkcs11(
            RvError::PinExpired
            | RvError::PinIncorrect
            | RvError::PinInvalid
            | RvError::PinLenRange
            | RvError::PinLocked
            | RvError::UserPinNotInitialized,
            _,
        ) => Failure::Pin(what),
        _ => Failure::Unreachable(what),
    })
}

/// The function and the `CKR_` code, as manuals name them.
fn words(error: &Error) -> String {
    match error {
        Error::Pkcs11(RvError::VendorDefined(code) | RvError::UnknownErrorCode(code), function) => {
            format!("C_{function:?} answers {code:#x}")
        }
        Error::Pkcs11(code, function) => {
            let mut name = String::from("CKR");
            for letter in format!("{code:?}").chars() {
                if letter.is_ascii_uppercase() {
                    name.push('_');
                }
                name.push(letter.to_ascii_uppercase());
            }
            format!("C_{function:?} answers {name}")
        }
        Error::InvalidValue => "a value that cannot be was given".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::*;

    #[test]
    fn answers_have_classes_and_the_names_of_manuals() {
        let class = |code| of("it fails", Error::Pkcs11(code, Function::Decrypt));
        let said = |name: &str| format!("it fails: C_Decrypt answers {name}");
        assert_eq!(class(RvError::UserNotLoggedIn), Failure::LoginNeeded);
        assert_eq!(
            class(RvError::KeyFunctionNotPermitted),
            Failure::Refused(said("CKR_KEY_FUNCTION_NOT_PERMITTED"))
        );
        assert_eq!(
            class(RvError::EncryptedDataInvalid),
            Failure::Corrupt(said("CKR_ENCRYPTED_DATA_INVALID"))
        );
        assert_eq!(
            class(RvError::UnknownErrorCode(AEAD_DECRYPT_FAILED)),
            Failure::Corrupt(said("0x42"))
        );
        for (code, name) in [
            (RvError::DeviceRemoved, "CKR_DEVICE_REMOVED"),
            (RvError::TokenNotPresent, "CKR_TOKEN_NOT_PRESENT"),
            (RvError::SessionHandleInvalid, "CKR_SESSION_HANDLE_INVALID"),
            (RvError::VendorDefined(0x8000_0001), "0x80000001"),
        ] {
            assert_eq!(class(code), Failure::Unreachable(said(name)));
        }
    }

    #[test]
    fn failing_to_log_in_is_the_pins_fault_or_the_tokens() {
        let class = |code| of_login(Error::Pkcs11(code, Function::Login));
        for code in [
            RvError::PinIncorrect,
            RvError::PinLocked,
            RvError::PinExpired,
        ] {
            assert!(matches!(class(code), Some(Failure::Pin(_))), "{code:?}");
        }
        assert!(matches!(
            class(RvError::DeviceError),
            Some(Failure::Unreachable(_))
        ));
        assert_eq!(class(RvError::UserAlreadyLoggedIn), None);
    }
}
