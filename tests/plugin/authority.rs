//! The `:authority` of every kube-apiserver, byte by byte: no Rust client would send those of the
//! older ones.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use kms_proto::wire::v2::{
    DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse,
};
use prost::Message;

use crate::{
    SEED, as_request,
    support::{
        DEADLINE,
        plugin::{Plugin, Site},
    },
};

// Types of frames, flags and an error code (RFC 9113, 6 and 7).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const PROTOCOL_ERROR: u32 = 1;

/// A connection on which every byte is ours.
struct Wire {
    stream: UnixStream,
    next_call: u32,
}

impl Wire {
    fn connect(site: &Site) -> Self {
        let stream = UnixStream::connect(site.socket()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut wire = Self {
            stream,
            next_call: 1,
        };
        wire.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        wire.frame(SETTINGS, 0, 0, b"");
        wire
    }

    /// Makes a call with this header block; gives back the answer, or why the stream was reset.
    fn call<T: Message + Default>(
        &mut self,
        block: &[u8],
        request: &impl Message,
    ) -> Result<T, u32> {
        let call = self.next_call;
        self.next_call += 2;
        self.frame(HEADERS, END_HEADERS, call, block);
        let len = u32::try_from(request.encoded_len()).unwrap();
        let message = [&[0], &len.to_be_bytes()[..], &request.encode_to_vec()].concat();
        self.frame(DATA, END_STREAM, call, &message);
        let mut answer = Vec::new();
        loop {
            let (kind, flags, stream, payload) = self.read();
            match kind {
                _ if stream != call => {}
                DATA => answer.extend(payload),
                HEADERS if flags & END_STREAM != 0 => {
                    return Ok(T::decode(&answer[5..]).unwrap());
                }
                RST_STREAM => return Err(u32::from_be_bytes(payload.try_into().unwrap())),
                _ => {}
            }
        }
    }

    /// The next frame of the daemon: type, flags, stream and payload.
    fn read(&mut self) -> (u8, u8, u32, Vec<u8>) {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).unwrap();
        let [_, l0, l1, kind, flags, stream @ ..] = head;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([l0, l1]))];
        self.stream.read_exact(&mut payload).unwrap();
        (kind, flags, u32::from_be_bytes(stream), payload)
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&len[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.write(&[&head, payload].concat());
    }

    fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }
}

/// A header block for Status: all literal, none indexed but `:authority` (RFC 7541, 6.2).
fn status_block(authority: &str) -> Vec<u8> {
    let text = |text: &str| [&[text.len() as u8], text.as_bytes()].concat();
    [
        b"\x83\x86\x04".to_vec(),
        text("/v2.KeyManagementService/Status"),
        b"\x41".to_vec(),
        text(authority),
        b"\x0f\x10".to_vec(),
        text("application/grpc"),
    ]
    .concat()
}

/// The same, with the `:authority` that was indexed last.
fn status_block_again() -> Vec<u8> {
    let mut block = status_block("");
    let at = block.windows(2).position(|bytes| bytes == b"\x41\0");
    let at = at.unwrap();
    block.splice(at..at + 2, [0xbe]);
    block
}

#[test]
fn every_apiserver_s_authority_is_answered_and_an_empty_one_is_not() {
    let site = Site::with_key();
    let _plugin = Plugin::start(&site);
    for authority in [
        "localhost",
        "/var/run/kms.sock",
        "%2Fvar%2Frun%2Fkms.sock",
        "%40kms.sock",
        "@kms.sock",
    ] {
        let mut wire = Wire::connect(&site);
        for block in [status_block(authority), status_block_again()] {
            let status: StatusResponse = wire.call(&block, &StatusRequest {}).unwrap();
            assert_eq!(status.healthz, "ok", "{authority}");
        }
    }
    let mut wire = Wire::connect(&site);
    for block in [status_block(""), status_block_again()] {
        let refused = wire.call::<StatusResponse>(&block, &StatusRequest {});
        assert_eq!(refused, Err(PROTOCOL_ERROR));
    }
    let block = status_block("/var/run/kms.sock");
    wire.call::<StatusResponse>(&block, &StatusRequest {})
        .unwrap();
}

/// RFC 9113, 6.5.
#[test]
fn the_daemon_announces_no_limit_that_the_front_does_not_know() {
    const HEADER_TABLE_SIZE: u16 = 1;
    const MAX_FRAME_SIZE: u16 = 5;
    let site = Site::with_key();
    let _plugin = Plugin::start(&site);
    let (kind, _, _, settings) = Wire::connect(&site).read();
    assert_eq!(kind, SETTINGS);
    for setting in settings.as_chunks::<6>().0 {
        let [i0, i1, value @ ..] = *setting;
        match (u16::from_be_bytes([i0, i1]), u32::from_be_bytes(value)) {
            (HEADER_TABLE_SIZE, size) => assert_eq!(size, 4096),
            (MAX_FRAME_SIZE, size) => assert_eq!(size, 16_384),
            _ => {}
        }
    }
}

/// The header blocks that kube-apiserver's client (`NewGRPCService` in
/// `k8s.io/apiserver/pkg/storage/value/encrypt/envelope/kmsv2`) sent for `unix:///var/run/kms.sock`, recorded:
/// Status, Encrypt, and Decrypt twice.
const SESSIONS: [(&str, [&str; 4]); 2] = [
    (
        "1.28.15 with grpc-go 1.56.3",
        [
            "8386459763b897cc5f5a0750e62d25a93b8b677310ac6e48d36a3f418d63b8ec62cb6a63ad285d07275f5f8b
             1d75d0620d263d4c4d65647a8b9acac8b4c7602bb6e2ecff40027465864d833505b11f40899acac8b24d494f
             6a7f8613ef3800336f",
            "8386459863b897cc5f5a0750e62d25a93b8b677310ac60a8967aad3fc3c2c1c07f008613efbefbcd5b",
            "8386459863b897cc5f5a0750e62d25a93b8b677310ac5f292cf55a7fc5c4c3c27f008613efbefb60b7",
            "8386bfc6c5c4c37e8613efbefb6edb",
        ],
    ),
    (
        "1.31.14 with grpc-go 1.65.0",
        [
            "8386459763b897cc5f5a0750e62d25a93b8b677310ac6e48d36a3f419154587b8ec54586cb6a54587ad285d0
             72755f8b1d75d0620d263d4c4d65647a8a9acac8b4c7602bb8dae040027465864d833505b11f408e9acac8b0
             c842d6958b510f21aa9b839bd9ab40899acac8b24d494f6a7f8613efbc00bb6f",
            "8386459863b897cc5f5a0750e62d25a93b8b677310ac60a8967aad3fc4c3c2c1c07f008613efbefbcf5b",
            "8386459863b897cc5f5a0750e62d25a93b8b677310ac5f292cf55a7fc6c5c4c3c27f008613efbefb41b7",
            "8386bfc7c6c5c4c37e8613efbefbcddb",
        ],
    ),
];

#[test]
fn sessions_of_older_apiservers_go_through() {
    let site = Site::with_key();
    let _plugin = Plugin::start(&site);
    for (client, blocks) in SESSIONS {
        let [status, encrypt, decrypt, decrypt_again] =
            blocks.map(|block| hex::decode(block.split_whitespace().collect::<String>()).unwrap());
        let mut wire = Wire::connect(&site);
        let StatusResponse { key_id, .. } = wire.call(&status, &StatusRequest {}).unwrap();
        let request = EncryptRequest {
            plaintext: SEED.to_vec(),
            uid: client.to_owned(),
        };
        let wrapped: EncryptResponse = wire.call(&encrypt, &request).unwrap();
        assert_eq!(wrapped.key_id, key_id, "{client}");
        let request = as_request(&wrapped);
        for block in [decrypt, decrypt_again] {
            let opened: DecryptResponse = wire.call(&block, &request).unwrap();
            assert_eq!(opened.plaintext, SEED, "{client}");
        }
    }
}
