//! AES-GCM (`CKM_AES_GCM`).

use cryptoki::{
    error::{Error, RvError},
    mechanism::{Mechanism, aead::GcmParams},
    types::Ulong,
};
use zeroize::Zeroizing;

use super::{KEK_LEN, Seal};

const IV_LEN: usize = 12;
const TAG_LEN: usize = 16;
const TAG_BITS: Ulong = Ulong::new(8 * TAG_LEN as u64);

impl Seal<'_> {
    pub(super) fn encrypt(&self, kek: &[u8; KEK_LEN], bound: &[u8]) -> Result<Vec<u8>, Error> {
        let mut iv = [0; IV_LEN];
        getrandom::fill(&mut iv).map_err(|_| Error::InvalidValue)?;
        let sealed = match self.encrypt_with(&mut iv, kek, bound) {
            // Some tokens make the IV themselves, write it back, and take nothing but zeros for it.
            Err(Error::Pkcs11(RvError::MechanismParamInvalid | RvError::ArgumentsBad, _)) => {
                iv = [0; IV_LEN];
                let sealed = self.encrypt_with(&mut iv, kek, bound)?;
                if iv == [0; IV_LEN] {
                    return Err(Error::InvalidValue);
                }
                sealed
            }
            other => other?,
        };
        Ok([&iv[..], &sealed].concat())
    }

    fn encrypt_with(
        &self,
        iv: &mut [u8; IV_LEN],
        kek: &[u8; KEK_LEN],
        bound: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let parameters = GcmParams::new(iv, bound, TAG_BITS)?;
        self.session
            .encrypt(&Mechanism::AesGcm(parameters), self.key, kek)
    }

    pub(super) fn decrypt(
        &self,
        body: &[u8],
        bound: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
        let Some((iv, sealed)) = body.split_first_chunk::<IV_LEN>() else {
            return Ok(None);
        };
        if sealed.len() != KEK_LEN + TAG_LEN {
            return Ok(None);
        }
        let mut iv = *iv;
        let parameters = GcmParams::new(&mut iv, bound, TAG_BITS)?;
        self.session
            .decrypt(&Mechanism::AesGcm(parameters), self.key, sealed)
            .map(|opened| Some(Zeroizing::new(opened)))
    }
}
