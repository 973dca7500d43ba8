use proptest::prelude::*;

use super::*;

/// The value as JSON, for comparison.
fn json(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".into(),
        Value::Unsayable(_) => "unsayable".into(),
        Value::Bool => "bool".into(),
        Value::Number(text) => text.expose().into(),
        Value::String(text) => format!("{:?}", text.expose()),
        Value::Sequence(nodes) => {
            format!("[{}]", nodes.iter().map(json).collect::<Vec<_>>().join(","))
        }
        Value::Mapping(entries) => {
            let entry = |(key, node): &(Text, Node)| format!("{}:{}", key.expose(), json(node));
            format!(
                "{{{}}}",
                entries.iter().map(entry).collect::<Vec<_>>().join(",")
            )
        }
    }
}

fn read(text: &str) -> String {
    parse(text.as_bytes()).map_or_else(|error| error.to_string(), |document| json(&document.root))
}

#[test]
fn documents_become_what_kubernetes_sees() {
    for (text, expected) in [
        ("", "null"),
        ("# only a comment", "null"),
        ("a: 1\n---\nb: 2\n", "{a:1}"),
        ("---\na: yes\n...\n", "{a:bool}"),
        ("%YAML 1.1\n---\na: b", "{a:\"b\"}"),
        ("\u{feff}a: b\r\nc: d\r\n", "{a:\"b\",c:\"d\"}"),
        (
            "a: 'yes'\nb: \"1\"\nc: |\n  x\n  y\n",
            "{a:\"yes\",b:\"1\",c:\"x\\ny\\n\"}",
        ),
        (
            "a: !!str yes\nb: !!str 5\nc: ! yes\nd: !x yes",
            "{a:\"yes\",b:\"5\",c:\"yes\",d:\"yes\"}",
        ),
        ("a: !!binary c2VjcmV0cw==", "{a:\"secrets\"}"),
        (
            "a: !!float 1\nb: 0x10\nc: 1e3\nd: ~",
            "{a:1,b:16,c:1000,d:null}",
        ),
        ("1: a\ntrue: b", "{1:\"a\",true:\"b\"}"),
        ("a: &x [1, 2]\nb: *x", "{a:[1,2],b:[1,2]}"),
        ("a: &x 1\nb: &x 2\nc: *x", "{a:1,b:2,c:2}"),
        (
            "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}",
            "{a:{p:1,q:2},b:{p:1,q:3}}",
        ),
        ("a: {p: 1, <<: {p: 2}}", "{a:{p:2}}"),
        ("<<: [{p: 1}, {p: 2, q: 2}]", "{p:1,q:2}"),
        ("'<<': 1", "{<<:1}"),
        (
            "  {\"a\": [1.0, -0, 1e3, \"\\u00e9\\ud83d\\ude00\\ud800\"]}\n",
            "{a:[1.0,-0,1e3,\"é😀\u{fffd}\"]}",
        ),
        ("{\"a\": 1, \"a\": 2}", "{a:1,a:2}"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    let utf16: Vec<u8> = "\u{feff}a: é"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(json(&parse(&utf16).unwrap().root), "{a:\"é\"}");
}

#[test]
fn where_yaml_could_be_read_in_two_ways_go_yaml_s_is_taken() {
    for (text, expected) in [
        ("a: [b:, c:d, 'e':f]", r#"{a:["b:","c:d",{e:"f"}]}"#),
        ("a: {b:c, d, ? e : f}", r#"{a:{b:c:null,d:null,e:"f"}}"#),
        (
            "a: [[], {}, , b]",
            "did not find expected node content (line 1)",
        ),
        ("a: [b,]", r#"{a:["b"]}"#),
        // The bracket behind the question mark is lost; with another one, what is wrong is the key.
        ("a: [?]", "did not find expected ',' or ']' (line 1)"),
        ("a: [?]]", "null and huge numbers cannot be keys (line 1)"),
        ("a: 'b'# c", r#"{a:"b"}"#),
        ("a: b# c", r##"{a:"b# c"}"##),
        (r#"a: "\/""#, "found unknown escape character (line 1)"),
        (r#"a: "\'\	\x41\u00e9\U0001f600""#, "{a:\"'\\tAé😀\"}"),
        (
            r#"a: "\ud83d\ude00""#,
            "found invalid Unicode character escape code (line 1)",
        ),
        ("a: \"b\\\n  c\n\n d\"", r#"{a:"bc\nd"}"#),
        (
            "a: 'b\n---\nc'",
            "found unexpected document indicator (line 2)",
        ),
        ("a: b\n  c\n\n  d\ne: f", r#"{a:"b c\nd",e:"f"}"#),
        (
            "a:\n- b\n- - c\n  - d\n-\ne: f",
            r#"{a:["b",["c","d"],null],e:"f"}"#,
        ),
        ("a: |\n  b\n   c\n\n", r#"{a:"b\n c\n"}"#),
        ("a: |+2\n   b\n\n", r#"{a:" b\n\n"}"#),
        (
            "a: >-\n  b\n  c\n\n  d\n   e\n  f\n",
            r#"{a:"b c\nd\n e\nf"}"#,
        ),
        (
            "a: |0\n b",
            "found an indentation indicator equal to 0 (line 1)",
        ),
        (
            "a: |\n\tb",
            "found a tab character where an indentation space is expected (line 2)",
        ),
        (
            "a: b\n\tc",
            "found a tab character that violates indentation (line 2)",
        ),
        ("a:\tb\t# c", r#"{a:"b"}"#),
        ("a: &x\nb: *x", "{a:null,b:null}"),
        ("a: &x !!str\nb: !!str &y", r#"{a:"",b:""}"#),
        ("a: &x &y b", "did not find expected key (line 1)"),
        ("a: !<tag:yaml.org,2002:str> 5", r#"{a:"5"}"#),
        (
            "a: !<tag:yaml.org,2002:str>5",
            "did not find expected whitespace or line break (line 1)",
        ),
        ("a: !%21 5", r#"{a:"5"}"#),
        ("a: !%zz 5", "did not find URI escaped octet (line 1)"),
        ("a: !x!y 5", "found undefined tag handle (line 1)"),
        (
            "%TAG !x! tag:yaml.org,2002:\n---\na: !x!str 5",
            r#"{a:"5"}"#,
        ),
        (
            "%TAG ! a:\n%TAG ! b:\n---\na",
            "found duplicate %TAG directive (line 2)",
        ),
        (
            "%YAML 1.2\n---\na: b",
            "found incompatible YAML document (line 1)",
        ),
        (
            "%YAML 1.1 x\n---\na: b",
            "did not find expected comment or line break (line 1)",
        ),
        (
            "%YAML 1.1\na: b",
            "did not find expected <document start> (line 2)",
        ),
        (
            "--- a: b",
            "mapping values are not allowed in this context (line 1)",
        ),
        ("---\n---\na: b", "null"),
        ("a: b\n...\n]", "{a:\"b\"}"),
        ("a: b\n---\n\"", "{a:\"b\"}"),
        ("a: b\n\"", "found unexpected end of stream (line 2)"),
        (
            "a\nb: c",
            "mapping values are not allowed in this context (line 2)",
        ),
        ("a: b\nc\nd: e", "could not find expected ':' (line 3)"),
        ("? a\n: b\n? c", r#"{a:"b",c:null}"#),
        (
            "a: - b",
            "block sequence entries are not allowed in this context (line 1)",
        ),
        (
            "a: ? b",
            "mapping keys are not allowed in this context (line 1)",
        ),
        (
            "a: b: c",
            "mapping values are not allowed in this context (line 1)",
        ),
        (
            "a: @b",
            "found character that cannot start any token (line 1)",
        ),
        ("a: !!timestamp 2026-11-23", r#"{a:"2026-11-23"}"#),
        (
            "a: !!timestamp b",
            "a value is not what its tag says (line 1)",
        ),
        // What JSON has no word for may be replaced in time.
        ("a: .inf\na: b", r#"{a:"b"}"#),
        ("a: {~: b}\na: c", r#"{a:"c"}"#),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    let long = format!("a: b\n'{}': c", "k".repeat(1023));
    assert_eq!(read(&long), "could not find expected ':' (line 2)");
}

#[test]
fn where_the_reader_is_stricter_it_says_so() {
    let error = |bytes: &[u8]| parse(bytes).unwrap_err();
    for bytes in [
        &b"a: b\n---\n\xff"[..],
        b"a: b\n---\n\x01",
        "\u{feff}\u{feff}a: b".as_bytes(),
        "[".repeat(200).as_bytes(),
    ] {
        assert!(error(bytes).is_stricter(), "{}", error(bytes));
    }
    assert!(!error(b"a: [").is_stricter());
}

#[test]
fn what_json_cannot_say_and_what_is_broken_is_refused() {
    for (text, expected) in [
        ("a: .inf", "JSON has no infinity and no NaN (line 1)"),
        (
            "a: 1\n~: 2",
            "null and huge numbers cannot be keys (line 2)",
        ),
        ("? [a]\n: b", "a collection cannot be a key (line 1)"),
        ("a: !!int x", "a value is not what its tag says (line 1)"),
        ("a: !!binary '!'", "a !!binary value is not base64 (line 1)"),
        ("a: *x", "an alias names an unknown anchor (line 1)"),
        ("a: &x [*x]", "an anchor's value contains itself (line 1)"),
        (
            "a: 1\n<<: 5",
            "map merge requires a mapping or a sequence of mappings (line 2)",
        ),
        (
            "a:\n\t- b",
            "found character that cannot start any token (line 2)",
        ),
        ("a: [!x,b]", "did not find expected ',' or ']' (line 1)"),
        (
            "{\"a\": 1} x",
            "there is more behind the top-level value (line 1)",
        ),
        (
            "{\"a\": 01}",
            "a number is not written as JSON wants it (line 1)",
        ),
        ("{a: 1}", "a key in double quotes is expected (line 1)"),
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    assert_eq!(
        parse(b"a: 1\nb: \xff").unwrap_err().to_string(),
        "the text is not UTF-8 (line 2)"
    );
}

#[test]
fn duplicates_are_reported_with_their_lines() {
    for (text, lines) in [
        ("a: 1\nb: 2\na: 3\nc: {d: 1, d: 2}", &[3, 4][..]),
        ("a: &x {p: 1}\nb:\n  p: 2\n  <<: *x", &[1]),
        ("{\"a\": 1,\n\"a\": 2}", &[2]),
        ("a: {b: 1}\nc: {b: 1}", &[]),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap().duplicates, lines, "{text}");
    }
}

#[test]
fn alias_bombs_and_deep_nesting_cost_little() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(read(&bomb).starts_with("the document contains excessive aliasing"));
    let merges: String = (1..12)
        .map(|level| {
            format!(
                "b{level}: &b{level} {{<<: [{}]}}\n",
                vec![format!("*b{}", level - 1); 10].join(", ")
            )
        })
        .collect();
    assert!(
        read(&format!("b0: &b0 {{p: 1}}\n{merges}"))
            .starts_with("the document contains excessive aliasing")
    );
    let chain: String = (1..5000)
        .map(|n| format!("c{n}: &c{n} [*c{}]\n", n - 1))
        .collect();
    assert!(read(&format!("c0: &c0 x\n{chain}")).starts_with("values are nested too deep"));
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("- ", ""), ("{\"a\":[", "]}")] {
        let deep = format!("{}1{}", open.repeat(50_000), close.repeat(50_000));
        assert!(
            read(&deep).starts_with("values are nested too deep"),
            "{open}"
        );
        let shallow = format!("{}1{}", open.repeat(40), close.repeat(40));
        assert!(parse(shallow.as_bytes()).is_ok(), "{open}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn nor_does_text_of_yaml_s_own_characters(text in "[-a0 \n:,{}\\[\\]&*?|>'\"%@`#!<~.\\\\\t]{0,120}") {
        let _ = parse(text.as_bytes());
        let _ = parse(format!("{{{text}").as_bytes());
    }
}
