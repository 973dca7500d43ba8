//! Generates etcd's messages and clients from our own `.proto` files; `protox` compiles them, so no
//! `protoc` is needed.

use std::error::Error;

const FILES: [&str; 2] = ["etcd/kv.proto", "etcd/rpc.proto"];

/// Messages that carry a password or a token: their `Debug` and their `Drop` are written by hand in
/// `store/wire.rs`.
const SECRET: [&str; 2] = [
    "etcdserverpb.AuthenticateRequest",
    "etcdserverpb.AuthenticateResponse",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/etcd");
    tonic_prost_build::configure()
        .build_transport(false)
        .build_server(false)
        // Keys and values are slices of the answer they came in: a page is not copied object by object.
        .bytes(".")
        .skip_debug(SECRET)
        .compile_fds(protox::compile(FILES, ["proto"])?)?;
    Ok(())
}
