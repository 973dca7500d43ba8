//! HTTP/2 frames by hand (RFC 9113), for what no client library sends.

use super::{call::Method, protobuf::put_varint};

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;
pub(super) const PADDED: u8 = 8;

/// What the peer would have had to say in SETTINGS to get a longer frame, in bytes.
pub(super) const MAX_FRAME_LEN: usize = 1 << 14;
/// How large that table is until the peer says otherwise, in bytes.
pub(super) const DEFAULT_HEADER_TABLE_SIZE: u32 = 4096;
/// The setting that bounds the dynamic table of the peer's header blocks.
pub(super) const SETTINGS_HEADER_TABLE_SIZE: u16 = 1;

/// One frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len())
        .expect("no frame is that long")
        .to_be_bytes();
    [&len[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// How a header block names the authority (RFC 7541).
pub(super) enum Authority<'a> {
    /// A literal that is not put into the dynamic table.
    Literal(&'a [u8]),
    /// A literal that is put there, as grpc-go sends it the first time.
    Added(&'a [u8]),
    /// The one that was put there last, as grpc-go sends it from then on.
    Again,
}

/// The header block of a gRPC request: literals as they are, without Huffman's code.
pub(super) fn head(method: Method, authority: &Authority<'_>) -> Vec<u8> {
    // :method POST and :scheme http stand in the static table, as do the names with numbers.
    let mut block = vec![0x83, 0x86];
    match authority {
        Authority::Literal(value) => put_literal(&mut block, &[0x01], value),
        Authority::Added(value) => put_literal(&mut block, &[0x41], value),
        Authority::Again => block.push(0x80 | 62),
    }
    put_literal(&mut block, &[0x04], method.path().as_bytes());
    put_literal(&mut block, &[0x0f, 31 - 15], b"application/grpc");
    put_literal(&mut block, b"\x00\x02te", b"trailers");
    block
}

fn put_literal(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.extend_from_slice(name);
    // An integer with a prefix of seven bits; what does not fit follows as protobuf has it, too.
    match value.len() {
        len @ ..0x7f => block.push(len as u8),
        len => {
            block.push(0x7f);
            put_varint(block, (len - 0x7f) as u64);
        }
    }
    block.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_and_header_blocks_are_these_bytes() {
        assert_eq!(
            frame(DATA, END_STREAM, 3, b"ab"),
            b"\0\0\x02\0\x01\0\0\0\x03ab"
        );
        let block = head(Method::Status, &Authority::Added(b"/k.sock"));
        let expected = [
            &b"\x83\x86\x41\x07/k.sock\x04\x1f/v2.KeyManagementService/Status"[..],
            b"\x0f\x10\x10application/grpc\x00\x02te\x08trailers",
        ];
        assert_eq!(block, expected.concat());
        assert_eq!(head(Method::Status, &Authority::Again)[2], 0xbe);
        let long = head(Method::Status, &Authority::Literal(&[b'a'; 300]));
        assert_eq!(long[2..6], [0x01, 0x7f, 0xad, 0x01]);
    }
}
