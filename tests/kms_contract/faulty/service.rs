//! The calls of a plugin with a fault.

use std::{
    collections::HashMap,
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use kms_proto::wire::v2::{
    DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest,
    StatusResponse, key_management_service_server::KeyManagementService,
};
use ring::aead::{Aad, NONCE_LEN, Nonce};
use tokio::time::sleep;
use tonic::{Request, Response, Status, async_trait};

use super::{Fault, Key, State};

type Annotations = HashMap<String, Vec<u8>>;

const TAG_LEN: usize = 16;
const ANNOTATION: &str = "version.faulty.example.com";

/// The service as one connection sees it.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) state: Arc<State>,
    /// Status calls of this connection since the rotation.
    pub(super) since_rotation: Arc<AtomicUsize>,
}

impl Service {
    fn has(&self, fault: Fault) -> bool {
        self.state.fault == fault
    }

    /// The place of the key that wraps now, counted from the end.
    fn wrapping(&self, encrypt: bool) -> usize {
        let since_rotation = self.since_rotation.load(SeqCst);
        let old = match self.state.fault {
            // For three rounds of one connection, both Status and Encrypt.
            Fault::GoesBack => (10..13).contains(&since_rotation),
            Fault::EncryptRotatesLater => encrypt && (1..10).contains(&since_rotation),
            _ => false,
        };
        usize::from(old)
    }

    fn with_key<T>(&self, encrypt: bool, with: impl FnOnce(&Key) -> T) -> T {
        let keys = self.state.keys.lock().unwrap();
        with(&keys[keys.len() - 1 - self.wrapping(encrypt)])
    }

    fn annotations(&self) -> Annotations {
        let (key, len) = match self.state.fault {
            Fault::AtTheLimits => ("limit.faulty.example.com.", 32 * 1024),
            Fault::ManyAnnotations => (ANNOTATION, 32 * 1024 + 1),
            Fault::ShortAnnotationKey => ("version", 8),
            _ => (ANNOTATION, ANNOTATION.len() + 2),
        };
        [(key.to_owned(), vec![b'1'; len - key.len()])].into()
    }

    fn authenticated_data(&self, key_id: &str, annotations: &Annotations) -> Vec<u8> {
        let mut sorted: Vec<_> = annotations.iter().collect();
        sorted.sort();
        if self.has(Fault::OpensAnyAnnotations) {
            sorted.clear();
        }
        let key_id = if self.has(Fault::OpensAnyKeyId) {
            ""
        } else {
            key_id
        };
        format!("{key_id:?} {sorted:?}").into_bytes()
    }

    /// Makes `nonce || ciphertext || tag || padding`. A plugin that opens any ciphertext leaves
    /// the plaintext out of what it authenticates: `nonce || tag || plaintext`.
    fn seal(&self, key: &Key, plaintext: &[u8], annotations: &Annotations) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        if !self.has(Fault::RepeatsItself) {
            getrandom::fill(&mut nonce).unwrap();
        }
        let (mut sealed, open) = match self.state.fault {
            Fault::OpensAnyCiphertext => (Vec::new(), plaintext),
            _ => (plaintext.to_vec(), &[][..]),
        };
        let data = Aad::from(self.authenticated_data(&key.id, annotations));
        let unique = Nonce::assume_unique_for_key(nonce);
        key.cipher
            .seal_in_place_append_tag(unique, data, &mut sealed)
            .unwrap();
        [&nonce[..], &sealed, open, &self.padding()].concat()
    }

    fn open(&self, key: &Key, request: &DecryptRequest) -> Option<Vec<u8>> {
        let sealed = request.ciphertext.strip_suffix(&self.padding()[..])?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let (sealed, open) = match self.state.fault {
            Fault::OpensAnyCiphertext => sealed.split_at_checked(TAG_LEN)?,
            _ => (sealed, &[][..]),
        };
        let data = Aad::from(self.authenticated_data(&request.key_id, &request.annotations));
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut sealed = sealed.to_vec();
        let opened = key.cipher.open_in_place(nonce, data, &mut sealed).ok()?;
        Some([opened, open].concat())
    }

    /// What makes a ciphertext of 32 bytes as long as it may be, or one byte longer.
    fn padding(&self) -> Vec<u8> {
        let len = match self.state.fault {
            Fault::AtTheLimits => 1024,
            Fault::LongCiphertext => 1025,
            _ => return Vec::new(),
        };
        vec![0xa5; len - NONCE_LEN - 32 - TAG_LEN]
    }
}

#[async_trait]
impl KeyManagementService for Service {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        self.state.connections.store(0, SeqCst);
        let rotated = self.state.rotated.load(SeqCst);
        if rotated {
            self.since_rotation.fetch_add(1, SeqCst);
        }
        match self.state.fault {
            Fault::HangsInStatus => pending().await,
            Fault::AsksSomebodyForStatus => sleep(Duration::from_millis(60)).await,
            _ => {}
        }
        let version = match self.state.fault {
            Fault::UnknownVersion => "v2alpha1",
            Fault::ChangesVersion if rotated => "v2",
            _ => "v2beta1",
        };
        let healthz = match self.state.fault {
            Fault::Sick => "sick",
            Fault::FallsSick if rotated => "sick",
            _ => "ok",
        };
        let mut status = StatusResponse {
            version: version.to_owned(),
            healthz: healthz.to_owned(),
            key_id: self.with_key(false, |key| key.id.clone()),
        };
        if self.has(Fault::SwapsFields) {
            std::mem::swap(&mut status.version, &mut status.healthz);
        }
        Ok(Response::new(status))
    }

    async fn encrypt(
        &self,
        request: Request<EncryptRequest>,
    ) -> Result<Response<EncryptResponse>, Status> {
        let mut request = request.into_inner();
        match self.state.fault {
            Fault::RefusesEncrypt => return Err(Status::unavailable("no")),
            Fault::NeedsAUid if request.uid.is_empty() => return Err(Status::internal("uid?")),
            Fault::TellsInNumbers if request.plaintext.len() > 1_000 => {
                let head = &request.plaintext[..64];
                return Err(Status::invalid_argument(format!("{head:?} is too long")));
            }
            Fault::CutsPlaintexts => request.plaintext.truncate(64),
            _ => {}
        }
        let annotations = self.annotations();
        let (ciphertext, mut key_id) = self.with_key(true, |key| {
            let ciphertext = self.seal(key, &request.plaintext, &annotations);
            (ciphertext, key.id.clone())
        });
        if self.has(Fault::AnotherKeyIdInEncrypt) {
            key_id.push('x');
        }
        Ok(Response::new(EncryptResponse {
            ciphertext,
            key_id,
            annotations,
        }))
    }

    async fn decrypt(
        &self,
        request: Request<DecryptRequest>,
    ) -> Result<Response<DecryptResponse>, Status> {
        let mut request = request.into_inner();
        match self.state.fault {
            Fault::Slow => sleep(Duration::from_millis(150)).await,
            Fault::NeedsAUid if request.uid.is_empty() => return Err(Status::internal("uid?")),
            Fault::AnotherKeyIdInEncrypt if request.key_id.ends_with('x') => {
                request.key_id.pop();
            }
            _ => {}
        }
        let keys = self.state.keys.lock().unwrap();
        let mut known = keys
            .iter()
            .filter(|key| key.id == request.key_id || self.has(Fault::OpensAnyKeyId))
            .peekable();
        if known.peek().is_none() {
            return Err(Status::failed_precondition("unknown key id"));
        }
        let Some(mut plaintext) = known.find_map(|key| self.open(key, &request)) else {
            let mut message = "altered, or not wrapped here".to_owned();
            if self.has(Fault::Tells) {
                request.annotations = self.annotations();
                let opened = keys.iter().find_map(|key| self.open(key, &request));
                message = opened.map_or(message, |opened| format!("for {}", hex::encode(opened)));
            }
            return Err(Status::invalid_argument(message));
        };
        if self.has(Fault::LosesAByte) {
            plaintext.pop();
        }
        Ok(Response::new(DecryptResponse { plaintext }))
    }
}
