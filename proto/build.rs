//! Generates the messages and services from our own `.proto` files; `protox` compiles them, so no
//! `protoc` is needed.

use std::error::Error;

const FILES: [&str; 4] = [
    "kms/v2/api.proto",
    "kms/v1beta1/api.proto",
    "storage/v2/object.proto",
    "ringfence/v1/status.proto",
];

/// Messages that carry a DEK source in the clear: their `Debug` and their `Drop` are written by
/// hand in `wire.rs`.
const SECRET: [&str; 4] = [
    "v2.EncryptRequest",
    "v2.DecryptResponse",
    "v1beta1.EncryptRequest",
    "v1beta1.DecryptResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    tonic_prost_build::configure()
        .build_transport(false)
        .codec_path("crate::codec::SmallCodec")
        .skip_debug(SECRET)
        .compile_fds(protox::compile(FILES, ["."])?)?;
    Ok(())
}
