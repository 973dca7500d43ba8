//! Its services of both versions.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use kms_proto::wire::{
    v1beta1::{self, key_management_service_server as server_v1},
    v2::{
        DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest,
        StatusResponse, key_management_service_server as server_v2,
    },
};
use tokio::time::sleep;
use tonic::{Request, Response, Status, async_trait};

use super::{Answers, Call, Change, right, wrap};

/// What the test and the services share.
#[derive(Clone)]
pub(super) struct Strings(Arc<Mutex<State>>);

pub(super) struct State {
    pub(super) answers: Answers,
    /// After how many answers to which call what changes.
    pub(super) change: Option<(usize, Call, Change)>,
    pub(super) calls: Vec<Call>,
    /// So many of them are not withheld any more.
    pub(super) released: usize,
    pub(super) secrets: Vec<Vec<u8>>,
}

impl Default for Strings {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State {
            answers: Answers::right(),
            change: None,
            calls: Vec::new(),
            released: 0,
            secrets: Vec::new(),
        })))
    }
}

impl Strings {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Takes a call down, waits while it is withheld, and says how it is answered.
    async fn answers(&self, call: Call) -> Result<Answers, Status> {
        let before = self.lock().take_down(call);
        loop {
            {
                let state = self.lock();
                if state.answers.withheld != Some(call) || before < state.released {
                    return match &state.answers.refused {
                        Some((refused, status)) if *refused == call => Err(status.clone()),
                        _ => Ok(state.answers.clone()),
                    };
                }
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    async fn wrap(&self, dek_source: &[u8]) -> Result<EncryptResponse, Status> {
        let answers = self.answers(Call::Encrypt).await?;
        self.lock().secrets.push(dek_source.to_vec());
        let mut answer = right(dek_source, &answers.status.key_id);
        (answers.encrypt)(&mut answer);
        Ok(answer)
    }

    async fn unwrap(&self, ciphertext: &[u8]) -> Result<Vec<u8>, Status> {
        let answers = self.answers(Call::Decrypt).await?;
        let mut dek_source = wrap(ciphertext);
        (answers.decrypt)(&mut dek_source);
        Ok(dek_source)
    }
}

impl State {
    /// Takes a call down, changes what is to change at it, and says how many calls there were before.
    fn take_down(&mut self, call: Call) -> usize {
        match &mut self.change {
            Some((0, awaited, change)) if *awaited == call => {
                let change = *change;
                change(&mut self.answers);
                self.change = None;
            }
            Some((answered, awaited, _)) if *awaited == call => *answered -= 1,
            _ => {}
        }
        self.calls.push(call);
        self.calls.len() - 1
    }
}

#[async_trait]
impl server_v2::KeyManagementService for Strings {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        Ok(Response::new(self.answers(Call::Status).await?.status))
    }

    async fn encrypt(
        &self,
        request: Request<EncryptRequest>,
    ) -> Result<Response<EncryptResponse>, Status> {
        Ok(Response::new(
            self.wrap(&request.get_ref().plaintext).await?,
        ))
    }

    async fn decrypt(
        &self,
        request: Request<DecryptRequest>,
    ) -> Result<Response<DecryptResponse>, Status> {
        let plaintext = self.unwrap(&request.get_ref().ciphertext).await?;
        Ok(Response::new(DecryptResponse { plaintext }))
    }
}

#[async_trait]
impl server_v1::KeyManagementService for Strings {
    async fn version(
        &self,
        request: Request<v1beta1::VersionRequest>,
    ) -> Result<Response<v1beta1::VersionResponse>, Status> {
        assert_eq!(request.get_ref().version, "v1beta1");
        Ok(Response::new(v1beta1::VersionResponse {
            version: self.answers(Call::Version).await?.version,
            runtime_name: "puppet".to_owned(),
            runtime_version: "1".to_owned(),
        }))
    }

    async fn decrypt(
        &self,
        request: Request<v1beta1::DecryptRequest>,
    ) -> Result<Response<v1beta1::DecryptResponse>, Status> {
        assert_eq!(request.get_ref().version, "v1beta1");
        let plain = self.unwrap(&request.get_ref().cipher).await?;
        Ok(Response::new(v1beta1::DecryptResponse { plain }))
    }

    async fn encrypt(
        &self,
        request: Request<v1beta1::EncryptRequest>,
    ) -> Result<Response<v1beta1::EncryptResponse>, Status> {
        assert_eq!(request.get_ref().version, "v1beta1");
        let cipher = self.wrap(&request.get_ref().plain).await?.ciphertext;
        Ok(Response::new(v1beta1::EncryptResponse { cipher }))
    }
}
