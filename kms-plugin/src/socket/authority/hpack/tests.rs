use super::*;

fn mend(hpack: &mut Hpack, block: &str) -> Option<String> {
    let block = block.split_whitespace().collect::<String>();
    let block = hex::decode(block).unwrap();
    hpack.mend(&block).unwrap().map(hex::encode)
}

/// Requests and responses in a row on one connection: RFC 7541, appendix C.3 to C.6.
#[test]
fn the_table_keeps_the_size_that_the_rfc_tells() {
    let series = [
        [
            ("828684410f7777772e6578616d706c652e636f6d", 57),
            ("828684be58086e6f2d6361636865", 110),
            (
                "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
                164,
            ),
        ],
        [
            ("828684418cf1e3c2e5f23a6ba0ab90f4ff", 57),
            ("828684be5886a8eb10649cbf", 110),
            ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", 164),
        ],
        // The responses have a table of 256 bytes: here by a size update, `3fe101`.
        [
            (
                "3fe101 4803333032580770726976617465611d4d6f6e2c203231204f63742032303133
                 2032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
                222,
            ),
            ("4803333037c1c0bf", 222),
            (
                "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a6970
                 7738666f6f3d4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d61
                 67653d333630303b2076657273696f6e3d31",
                215,
            ),
        ],
        [
            (
                "3fe101 488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff
                 6e919d29ad171863c78f0b97c8e9ae82ae43d3",
                222,
            ),
            ("4883640effc1c0bf", 222),
            (
                "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2
                 e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                215,
            ),
        ],
    ];
    for blocks in series {
        let mut hpack = Hpack::new();
        for (block, size) in blocks {
            assert_eq!(mend(&mut hpack, block), None, "{block}");
            assert_eq!(hpack.table.size(), size, "{block}");
        }
    }
}

/// The literals of `:authority`: indexed by the static table, spelt out, spelt out in Huffman code.
#[test]
fn an_authority_that_is_none_is_replaced_in_every_literal() {
    let raw = format!("05{}", hex::encode("/a%b/"));
    // 011000 00011 010101 100011 011000 and padding.
    let coded = "84606ac6c7";
    let mended = format!("05{}", hex::encode("-a-b-"));
    let spelt = format!("0a{}", hex::encode(":authority"));
    let spelt_coded = format!("88{}", hex::encode(huffman::encode(b":authority")));
    for before in ["41", "01", "11", "82 84 41"] {
        for value in [&*raw, coded] {
            let mended = format!("{before}{mended}86").replace(' ', "");
            let block = format!("{before}{value}86");
            assert_eq!(mend(&mut Hpack::new(), &block), Some(mended), "{block}");
        }
    }
    for first in ["40", "00", "10"] {
        for name in [&spelt, &spelt_coded] {
            let block = format!("{first}{name}{raw}");
            let mended = format!("{first}{name}{mended}");
            assert_eq!(mend(&mut Hpack::new(), &block), Some(mended), "{block}");
        }
    }
}

#[test]
fn an_authority_is_found_under_a_name_of_the_dynamic_table() {
    let mut hpack = Hpack::new();
    // `:authority: a`, then `x: y`: the first is now at 63, which is 0 above the prefix of 6 bits,
    // and 48 above the one of 4.
    assert_eq!(mend(&mut hpack, "410161 4001780179"), None);
    let mended = Some("7f00012d".to_owned());
    assert_eq!(mend(&mut hpack, "7f00012f"), mended);
    // Now at 64, after its own replacement at 62 and `x` at 63.
    assert_eq!(mend(&mut hpack, "0f2f012f"), Some("0f2f012d".to_owned()));
    assert_eq!(mend(&mut hpack, "0f30012f"), None, "x: /");
    assert_eq!(mend(&mut hpack, "1f31012f"), Some("1f31012d".to_owned()));
    // An empty table, and one with room for one entry.
    assert!(hpack.mend(&[0x20, 0x0f, 0x2f, 1, b'/']).is_err());
    assert_eq!(mend(&mut hpack, "3f0b 410161 4001780179"), None);
    assert_eq!(mend(&mut hpack, "0f2f012f"), None, "x: /");
}

/// RFC 7541, 4.4.
#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut hpack = Hpack::new();
    assert_eq!(mend(&mut hpack, "3f04 4001780179"), None, "34 of 35 bytes");
    assert_eq!(hpack.table.size(), 34);
    assert_eq!(mend(&mut hpack, "40017803797979"), None, "36 of 35 bytes");
    assert_eq!(hpack.table.size(), 0);
    assert!(hpack.mend(&[0x0f, 0x2f, 0]).is_err());
}

#[test]
fn what_is_valid_empty_or_of_another_name_stays() {
    for authority in [
        "localhost",
        "localhost:80",
        "@kms.sock",
        "user%2f@[::1]:80",
        "",
        "x",
    ] {
        let value = format!("{:02x}{}", authority.len(), hex::encode(authority));
        assert_eq!(mend(&mut Hpack::new(), &format!("41{value}")), None);
    }
    let almost = format!("400a{}", hex::encode(":Authority"));
    for name in ["44", "0f10", "400178", &almost] {
        let block = format!("{name}022f2f");
        assert_eq!(mend(&mut Hpack::new(), &block), None, "{block}");
    }
}

#[test]
fn a_replacement_is_valid_whatever_it_replaces_and_as_long() {
    for byte in 0..=u8::MAX {
        for value in [vec![byte], vec![byte; 300], vec![b'a', byte, b'/']] {
            if let Some(mended) = mended_authority(&value) {
                assert_eq!(mended.len(), value.len());
                assert!(uri::Authority::try_from(mended).is_ok(), "{byte}");
            }
        }
    }
    let long = vec![b'/'; 1 << 17];
    assert!(uri::Authority::try_from(mended_authority(&long).unwrap()).is_ok());
}

#[test]
fn lengths_are_written_as_they_are_read() {
    for len in [
        0,
        1,
        126,
        127,
        128,
        254,
        255,
        256,
        16_383,
        16_510,
        16_511,
        1 << 20,
    ] {
        let text = vec![b'x'; len];
        let mut block = Vec::new();
        push_string(&mut block, &text);
        let mut reader = Reader { rest: &block };
        assert_eq!(reader.string().unwrap().bytes, text);
        assert!(reader.rest.is_empty());
    }
}

/// RFC 7541, C.1, and the end of what h2 reads.
#[test]
fn integers_have_prefixes_and_an_end() {
    let integer = |bytes: &[u8], prefix| Reader { rest: bytes }.integer(prefix).ok();
    assert_eq!(integer(&[0b1110_1010], 5), Some(10));
    assert_eq!(
        integer(&[0b0001_1111, 0b1001_1010, 0b0000_1010], 5),
        Some(1337)
    );
    assert_eq!(integer(&[0xff], 7), None);
    assert_eq!(
        integer(&[0xff, 0xff, 0xff, 0xff, 0x7f], 7),
        Some(127 + (1 << 28) - 1)
    );
    assert_eq!(integer(&[0xff, 0x80, 0x80, 0x80, 0x80, 0], 7), None);
    assert_eq!(integer(&[], 4), None);
}

#[test]
fn what_cannot_be_understood_is_said_to_be_so() {
    for block in [
        &[0x3f, 0xe2, 0x1f][..], // A table of 4097 bytes.
        &[0x40][..],             // No name.
        &[0x41, 5, b'a'],        // Half a value.
        &[0x7e, 1, b'a'],        // A name of an empty table.
        &[0x41, 0x81, 0x00],     // Padding with zeros.
        &[0xff],                 // Half an index.
    ] {
        assert!(Hpack::new().mend(block).is_err(), "{block:x?}");
    }
}
