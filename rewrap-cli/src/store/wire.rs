//! Generated messages and clients, and what makes those carrying a password or a token safe to hold.

use std::fmt;

use zeroize::Zeroize;

/// Package `mvccpb`.
pub(super) mod mvccpb {
    #![expect(unreachable_pub, reason = "generated")]
    tonic::include_proto!("mvccpb");
}

/// Package `etcdserverpb`.
pub(super) mod etcdserverpb {
    #![expect(
        unreachable_pub,
        unused_qualifications,
        clippy::enum_variant_names,
        reason = "generated"
    )]
    tonic::include_proto!("etcdserverpb");
}

use etcdserverpb::{AuthenticateRequest, AuthenticateResponse};

impl fmt::Debug for AuthenticateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateRequest")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AuthenticateResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticateResponse")
            .finish_non_exhaustive()
    }
}

impl Drop for AuthenticateRequest {
    fn drop(&mut self) {
        self.password.zeroize();
    }
}

impl Drop for AuthenticateResponse {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}
