use proptest::{collection::vec, prelude::*};

use super::{
    super::{
        frames::MAX_HELD_LEN,
        huffman,
        tests::{
            conversation::{AUTHORITIES, Conversation},
            peer::{
                CONTINUATION, Choices, DATA, END_HEADERS, END_STREAM, HAS_PRIORITY, HEADERS,
                PADDED, PREFACE, SETTINGS, frame,
            },
        },
    },
    *,
};

mod properties;

use properties::check;

/// The frames after a preface, as the peer sends them and as they go on.
fn rewritten(frames: &[u8]) -> Vec<u8> {
    let output = check(&[PREFACE, frames].concat(), &[1]);
    output.strip_prefix(PREFACE).unwrap().to_vec()
}

fn headers(flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(HEADERS, flags, 1, payload)
}

/// A header block that is rewritten, if it is looked at.
const BAD: &[u8] = b"\x82\x41\x09/kms.sock\x86";
const MENDED: &[u8] = b"\x82\x41\x09-kms.sock\x86";

#[test]
fn what_is_valid_is_not_even_copied() {
    let call = [
        headers(END_HEADERS, b"\x83\x86\x44\x01/\x41\x09localhost"),
        frame(DATA, END_STREAM, 1, b"a message"),
    ]
    .concat();
    let input = [PREFACE, &frame(SETTINGS, 0, 0, &[]), &call, &call].concat();
    let mut rest = Vec::new();
    assert_eq!(Rewriter::default().filter(&input, &mut rest), input.len());
    assert_eq!(rest, b"");
}

#[test]
fn only_headers_wait_for_their_end() {
    let mut rewriter = Rewriter::default();
    let mut pass = |input: &[u8]| {
        let mut rest = Vec::new();
        let kept = rewriter.filter(input, &mut rest);
        [&input[..kept], &rest].concat()
    };
    for byte in PREFACE {
        assert_eq!(pass(&[*byte]), [*byte]);
    }
    // A frame's header at once, its payload as it comes.
    let data = frame(DATA, 0, 1, b"message");
    assert_eq!(pass(&data[..8]), b"");
    assert_eq!(pass(&data[8..10]), data[..10]);
    assert_eq!(pass(&data[10..12]), data[10..12]);
    assert_eq!(pass(&data[12..]), data[12..]);
    let bad = [
        headers(0, &BAD[..5]),
        frame(CONTINUATION, END_HEADERS, 1, &BAD[5..]),
    ]
    .concat();
    let (last, before) = bad.split_last().unwrap();
    for byte in before {
        assert_eq!(pass(&[*byte]), b"");
    }
    let next = [&[*last], &data[..10]].concat();
    let mended = headers(END_HEADERS, MENDED);
    assert_eq!(pass(&next), [&mended, &data[..10]].concat());
}

#[test]
fn what_is_around_a_block_stays() {
    let with = |block: &[u8]| [b"\x03\x80\0\0\x07\x10", block, b"pad"].concat();
    // With flags that mean nothing, and the reserved bit.
    let flags = END_HEADERS | END_STREAM | PADDED | HAS_PRIORITY | 0xd2;
    let stream = 1 << 31 | 5;
    assert_eq!(
        rewritten(&frame(HEADERS, flags, stream, &with(BAD))),
        frame(HEADERS, flags, stream, &with(MENDED))
    );
}

#[test]
fn a_block_that_grows_beyond_a_frame_is_split() {
    let authority = vec![b'%'; 20_000];
    let coded = huffman::encode(&authority);
    let before = [&[0x82, 0x01][..], &integer(0x80, coded.len())].concat();
    let block = [before, coded].concat();
    let input = frame(
        HEADERS,
        PADDED | END_HEADERS | END_STREAM,
        7,
        &[b"\x02", &*block, b"\0\0"].concat(),
    );
    assert!(input.len() < MAX_HELD_LEN);
    let mended = [&[0x82, 0x01][..], &integer(0, 20_000), &[b'-'; 20_000]].concat();
    let (first, second) = mended.split_at(16_384 - 3);
    let expected = [
        frame(
            HEADERS,
            PADDED | END_STREAM,
            7,
            &[b"\x02", first, b"\0\0"].concat(),
        ),
        frame(CONTINUATION, END_HEADERS, 7, second),
    ];
    assert_eq!(rewritten(&input), expected.concat());
}

/// A length above 16,510 and below 2^21 as a string begins with it.
fn integer(first: u8, number: usize) -> [u8; 4] {
    let rest = number - 127;
    [
        first | 127,
        rest as u8 | 0x80,
        (rest >> 7) as u8 | 0x80,
        (rest >> 14) as u8,
    ]
}

#[test]
fn after_what_is_not_understood_everything_passes() {
    let bad = headers(END_HEADERS, BAD);
    let long = frame(HEADERS, END_HEADERS, 1, &[0x82; 16_385]);
    let self_dependent = headers(END_HEADERS | HAS_PRIORITY, b"\x80\0\0\x01\0\x82");
    for odd in [
        frame(5, END_HEADERS, 1, b"\0\0\0\x02\x82"),
        frame(CONTINUATION, END_HEADERS, 1, b"\x82"),
        [headers(0, b"\x82"), frame(DATA, 0, 1, b"")].concat(),
        [
            headers(0, b"\x82"),
            frame(CONTINUATION, END_HEADERS, 3, b""),
        ]
        .concat(),
        headers(END_HEADERS | PADDED, b"\x02\x82"),
        headers(END_HEADERS | PADDED, b""),
        headers(END_HEADERS | HAS_PRIORITY, b"\0\0\0\0"),
        headers(END_HEADERS, b"\x41\x81\0"),
        self_dependent,
        long,
    ] {
        let input = [&bad[..], &odd, &bad].concat();
        let expected = [&headers(END_HEADERS, MENDED)[..], &odd, &bad].concat();
        assert_eq!(rewritten(&input), expected, "{:x?}", &odd[..9]);
    }
    let not_http2 = [b"PRI * HTTP/1.1\r\n\r\n", &bad[..]].concat();
    assert_eq!(check(&not_http2, &[1]), not_http2);
}

#[test]
fn the_largest_block_is_looked_at_and_no_more_than_that_is_held() {
    let padded = |len: usize| [b"\x01\x01/", &[0x82; 16_384][..len - 3]].concat();
    let whole = headers(END_HEADERS, &padded(16_384));
    assert_ne!(rewritten(&whole), whole);
    let split = [
        headers(0, &padded(16_000)),
        frame(CONTINUATION, END_HEADERS, 1, &[0x82; 384 - 9]),
    ]
    .concat();
    assert_ne!(rewritten(&split), split);

    let mut rewriter = Rewriter::default();
    let mut rest = Vec::new();
    rewriter.filter(PREFACE, &mut rest);
    let mut passed = rewriter.filter(&headers(0, BAD), &mut rest);
    let endless = frame(CONTINUATION, 0, 1, &[]);
    let mut sent = headers(0, BAD).len();
    for _ in 0..10_000 {
        sent += endless.len();
        passed += rewriter.filter(&endless, &mut rest) + rest.len();
        rest.clear();
        assert!(sent - passed <= MAX_HELD_LEN);
        assert!(rewriter.held.capacity() <= 2 * MAX_HELD_LEN);
    }
    assert_eq!(sent, passed);
}

#[test]
fn the_end_lets_go_of_what_is_held() {
    for held in [
        &headers(0, BAD)[..],
        &headers(END_HEADERS, BAD)[..15],
        b"\0\0",
    ] {
        assert_eq!(rewritten(held), held);
    }
}

proptest! {
    #[test]
    fn every_input_passes_however_it_is_cut(frames: Vec<u8>, cuts in vec(any::<u8>(), 1..8)) {
        check(&frames, &cuts);
        check(&[PREFACE, &frames].concat(), &cuts);
    }

    #[test]
    fn every_conversation_passes_however_it_is_cut_and_altered(
        choices in vec(any::<u8>(), 0..300),
        cuts in vec(any::<u8>(), 1..8),
        alterations in vec(any::<(u16, u8)>(), 0..4),
    ) {
        let mut bytes = Conversation::new(&AUTHORITIES, &mut Choices::new(&choices)).bytes;
        for (at, bits) in alterations {
            let at = usize::from(at) % bytes.len();
            bytes[at] ^= bits;
        }
        check(&bytes, &cuts);
    }

    #[test]
    fn a_conversation_with_valid_authorities_passes_byte_for_byte(
        choices in vec(any::<u8>(), 0..300),
        cuts in vec(any::<u8>(), 1..8),
    ) {
        let valid: [&[u8]; 4] = [b"localhost", b"@kms.sock", b"", b"[::1]:443"];
        let bytes = Conversation::new(&valid, &mut Choices::new(&choices)).bytes;
        prop_assert_eq!(check(&bytes, &cuts), bytes);
    }
}
