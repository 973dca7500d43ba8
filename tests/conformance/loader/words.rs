//! What stands in the fields: usual values, and those at the edge of a rule.

/// Names of resources.
pub(super) const RESOURCES: &[&str] = &[
    "secrets", "secrets", "secrets", "secrets", "configmaps", "events", "deployments.apps",
    "daemonsets.apps", "pandas.awesome.bears.com", "leases.coordination.k8s.io", "pods", "services",
    "endpoints", "customresourcedefinitions.apiextensions.k8s.io", "apiservices.apiregistration.k8s.io",
    "configmaps.",
];

/// Those that cover others, or stand for the same.
pub(super) const WILDCARDS: &[&str] = &[
    "*.apps", "*.", "*.*", "*.awesome.bears.com", "secrets.", "*.batch",
];

pub(super) const ODD_RESOURCES: &[&str] = &[
    "*", "secrets.*", "*.*.*", "*.events.k8s.io", "events.events.k8s.io", "ingresses.extensions",
    "*.extensions", "extensions", "Secrets", "secrets.Apps", "deployments.apps.", "serviceipallocations",
    "serviceipallocations.", "apiserveripinfo", "servicenodeportallocations",
    "servicenodeportallocations.x", "", " ", "secrets ", " secrets", ".", "..", ".apps", "a..b", "**", "*s",
    "secrets/status", "y", "1", "null", "é", "É", "ß", "ẞ", "İ", "ı", "Σ", "ς", "ǅ", "ﬁ", "Ⅷ", "Ⓐ", "𐐀",
    "ꟻ", "secrets\u{0}", "\u{feff}secrets",
];

/// Names of keys.
pub(super) const KEYS: &[&str] = &[
    "key1", "key2", "2026-11", "a", "a:", "a:b", "key1:",
];

/// Names of KMS providers.
pub(super) const PROVIDERS: &[&str] = &[
    "vault", "vault-2", "aws", "gcp", "azure", "hsm", "a", "b", "c", "kms-2026", "kms-2027", "d", "e", "f",
    "g", "h", "i", "j",
];

/// Texts that YAML could take for something else than a string, or cannot hold without quotes.
pub(super) const SLIPPERY: &[&str] = &[
    "y", "Y", "yes", "Yes", "YES", "yEs", "no", "n", "on", "off", "Off", "true", "True", "TRUE", "false",
    "~", "null", "Null", "nULL", "", " ", "0", "-0", "+0", "1", "-1", "+12", "0755", "08", "09.5", "0o17",
    "0O17", "0x1F", "0X1f", "-0x1f", "0x", "0b101", "0B1", "0b2", "0b-1", "-0b11", "-0b-1", "+0b1", "1_000",
    "1__0", "_1", "1_", "0x_1", "0_7", "1e3", "1E3", "1e", "1e+3", "1e-3", "1e400", "-1e400", "1.5", "1.",
    ".5", "-.5", "+.5", ".5_0", "._5", ".", "..", "...", "1.5.2", ".inf", "-.inf", "+.inf", ".Inf", ".INF",
    ".iNF", ".nan", ".NaN", ".NAN", "inf", "nan", "Infinity", "infinity", "-inf", "NaN", "0x1p-2",
    "0x1.8p1", "1p3", "2026-11-23", "2026-11-23T10:00:00Z", "2026-11-23 10:00:00", "2026-1-2",
    "2026-11-23t10:00:00.5+01:00", "12:30", "1:30:45", "190:20:30.15", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
    "18446744073709551616", "99999999999999999999999999", "0x7fffffffffffffff", "0xffffffffffffffff",
    "0x10000000000000000", "0777777777777777777777", "01777777777777777777777", "<<", "=", "-", "--", "---",
    "- a", "?", "? a", ":", ":a", "a:", "a: b", "a :b", "#", "a#b", "a #b", "# a", "&a", "*a", "*", "&",
    "!", "!a", "!!str", "|", ">", "|-", "'", "\"", "%", "%a", "@a", "`a", "a,b", "[a]", "{a}", "a]", "a}",
    "[", "{", "]", "}", ",", "a b", "a\tb", "\ta", "a\t", "a\nb", "\na", "a\n", "a\n\n", "a\r\nb", "a\rb",
    "é", "日本", "😀", "\u{0}", "\u{7}", "\u{7f}", "\u{85}", "\u{a0}", "\u{2028}", "\u{2029}", "\u{feff}",
    "\u{fffd}", "\u{fffe}", "\u{e000}", "\u{10ffff}", "k8s:enc:", "\\", "\\n", "a\u{85}b", "a\u{2028}b",
    "a\u{feff}b",
];

/// Plain or tagged scalars, written as they stand.
pub(super) const RAW: &[&str] = &[
    "!!str 5", "!!str yes", "!!str", "!!str ~", "!!int 5", "!!int '5'", "!!int x", "!!float 1",
    "!!float 1.5", "!!float '1'", "!!bool yes", "!!bool 'yes'", "!!bool x", "!!null ~", "!!null ''",
    "!!null x", "!!binary c2VjcmV0cw==", "!!binary 'c2VjcmV0cw'", "!!binary '!'", "!!binary /w==",
    "!!timestamp 2026-11-23", "!!timestamp x", "!!timestamp '2026-11-23T10:00:00Z'", "!!merge x",
    "!!merge <<", "!!seq []", "!!map {}", "!!set {a}", "!!omap [a: b]", "!!seq {}", "!!map []", "!!str []",
    "!!str {}", "! yes", "! '5'", "! 5", "!x yes", "!x 5", "!!x yes", "!<tag:yaml.org,2002:str> 5",
    "!<tag:yaml.org,2002:int> 5", "!<!x> 5", "!<x", "!e!x 5", "!!str &t 5", "&t !!str 5", "&t", "&t &u x",
    "&t [a]", "&t {a: b}", "*t", "*u", "*nobody", "!!str *t", "&v *t", "''", "\"\"", "'a''b'",
    "\"a\\x41\\u0042\\U00000043\"", "\"\\_\\N\\L\\P\\e\\a\\b\\f\\v\\0\\/\\ \\\t\"", "\"\\q\"",
    "\"\\ud800\"", "\"\\ud83d\\ude00\"", "\"a\\\n  b\"", "\"a\n  b\"", "'a\n  b'", "\"a\n\n  b\"",
    "\"a\n---\nb\"", "a\n  b", "a\n  # b\n  c", "|\n  a\n  b", ">\n  a\n  b", "|-\n  a", "|+\n  a\n\n",
    ">+\n  a\n\n", "|2\n   a", "|1\n a", "|0\n a", "|9\n  a", "|2-\n   a", "|-2\n   a", "| # c\n  a",
    "|# c\n  a", "|\n\ta", ">\n\n  a\n   b\n  c", "|x\n  a", "[]", "[a]", "[a, b]", "[a,]", "[,a]",
    "[a,,b]", "[a: b]", "[? a : b]", "[? a]", "[\"a\":b]", "[a", "{}", "{a: b}", "{a: b,}", "{a}", "{a,b}",
    "{a: }", "{a:b}", "{\"a\":b}", "{'a':b}", "{a: b, a: c}", "{? a : b}", "{?a: b}", "{: b}", "{, a}",
    "{a: [}", "{a: b}}", "{a: {b: {c: d}}}", "{<<: {a: b}}", "{<<: [{a: b}, {c: d}]}", "{<<: x}",
    "{<<: *t}", "{<<: [*t, *u]}", "{'<<': x}", "{!!merge '<<': {a: b}}", "{[a]: b}", "{{a: b}: c}",
    "{~: a}", "{1: a}", "{1.5: a}", "{true: a}", "{0x10: a}", "{1e3: a}", "{9223372036854775808: a}",
    "{.inf: a}", "{2026-11-23: a}", "{!!binary YQ==: b}", "{!!str 1: a, 1: b}", "{1: a, '1': b}",
    "{1: a, 0x1: b}", "{true: a, yes: b}", "{1.0: a, 1: b}", "a # b", "a #", "#a", "a\t# b", "'a'# b",
    "'a' # b", "'a'b", "\"a\" b", "'a", "\"a", "a: b", "- a", "- - a", "? a", "a : b", "a:\tb", "-\ta",
    "\ta", "a\t", "%TAG ! x", "@", "`", "\u{feff}", "\u{feff}a", "a\u{0}", "\u{85}", "\u{2028}a", "\u{7f}",
    "\u{1f}", "\u{a0}", "--- a", "...", "... # x",
];

/// Durations, as text.
pub(super) const DURATIONS: &[&str] = &[
    "3s", "3s", "10s", "1m30s", "100ms", "250ms", "1h", "1ns",
];

pub(super) const ODD_DURATIONS: &[&str] = &[
    "0", "-0", "+0", "0s", "-1s", "+3s", "-3s", "1.5h", "1.s", ".5s", ".s", "s", "3", "3.", "3S", "3 s",
    " 3s", "3s ", "1h1", "1d", "1w", "1us", "1µs", "1μs", "1e3s", "1_0s", "0x1s", "--1s", "+-1s", "1s1s",
    "1s-1s", "1m1h", "", "1ms1us1ns", "9223372036854775807ns", "9223372036854775808ns",
    "-9223372036854775808ns", "-9223372036854775809ns", "18446744073709551616ns",
    "2562047h47m16.854775807s", "2562047h47m16.854775808s", "2562048h", "99999999999999999999h",
    "0.000000001s", "0.0000000001s", "0.9999999999s", "0.9999999999999999999999s",
    "1.00000000000000000000000000001ns", "0.1ns", "1.9ns", "9223372036854775807.9ns",
    "9223372036.854775807s", "9223372036.854775808s", "3s\n", "3\u{0}s", "３s", "١s", "0.s", "0.0h", "00s",
    "007s", "1.2.3s", "1s.", "1hour", "m", "1m1m",
];

/// Endpoints.
pub(super) const ENDPOINTS: &[&str] = &[
    "unix:///run/ringfence.test/kms.sock", "unix:///run/ringfence.test/kms.sock", "unix:///@ringfence.test",
    "unix:///run/ringfence.test/b.sock",
];

pub(super) const ODD_ENDPOINTS: &[&str] = &[
    "", "unix", "unix:", "unix:/", "unix:/a", "unix:a", "unix:a/b", "unix://", "unix:///", "unix:////a",
    "unix://a", "unix://a/b", "unix://@a", "unix://@/a", "unix://u@h/a", "unix://u:p@h/a",
    "unix://u:p:q@h/a", "unix://u%40@h/a", "unix://u%zz@h/a", "unix://u^@h/a", "unix://a@b@c/d",
    "UNIX:///a", "Unix:///a", "unix2:///a", "2unix:///a", "+unix:///a", "un-ix:///a", "un ix:///a",
    " unix:///a", "unix ///a", "unix:/// a", "unix:///a b", "unix:///a\tb", "unix:///a\n",
    "unix:///a\u{7f}", "unix:///é", "unix://é/a", "tcp://h", "http://h:1/a", "http://a:b:1/c",
    "https://::1/a", "file:///a", "/a", "a", "//a", "///a", "a/b:c", "a:b", ":", ":a", "*", "?", "#",
    "unix:*", "unix:///a%20b", "unix:///a%2", "unix:///a%", "unix:///a%zz", "unix:///a%25zz",
    "unix:///a%2525", "unix:///a%25", "unix:///a%00b", "unix:///a%0ab", "unix:///a%7fb", "unix:///a%ffb",
    "unix:///a%c3%a9", "unix:///a%23%zz", "unix:///a%23%25zz", "unix:///a%23%00", "unix:///a%23%25",
    "unix:///a%3f%25zz", "unix:///a%3f%25zz%23%25zz", "unix:///a%3f%00", "unix:///%40a", "unix:///@",
    "unix:///@%25", "unix:///@a%23%0a", "unix:///a?", "unix:///a??", "unix:///a?b", "unix:///a?%zz",
    "unix:///a?b?c", "unix:///a#b", "unix:///a#%zz", "unix:///a#b#c", "unix:///a#%41", "unix:///a#\u{7f}",
    "unix:///a?\u{1}", "unix:?a", "unix:#a", "unix:a%zz", "unix:a#%zz", "unix://h:1/a", "unix://h:/a",
    "unix://h:x/a", "unix://h:1:2/a", "unix://h:1x/a", "unix://:1/a", "unix://:/a", "unix://h%41/a",
    "unix://h%c3%a9/a", "unix://h%25/a", "unix://h%2/a", "unix://h%zz/a", "unix://ho st/a", "unix://h\"/a",
    "unix://h<>/a", "unix://h\\/a", "unix://h^/a", "unix://h|/a", "unix://h`/a", "unix://h{}/a",
    "unix://h!$&'()*+,;=/a", "unix://[::1]/a", "unix://[::1]:1/a", "unix://[::1]:x/a", "unix://[::1]x/a",
    "unix://[::1/a", "unix://::1]/a", "unix://h[::1]/a", "unix://[1.2.3.4]/a", "unix://[]/a",
    "unix://[x]/a", "unix://[::ffff:1.2.3.4]/a", "unix://[fe80::1%25en0]/a", "unix://[fe80::1%en0]/a",
    "unix://[fe80::1%25]/a", "unix://[fe80::1%25%25]/a", "unix://[fe80::1%25e%20n]/a",
    "unix://[fe80::1%25e%2fn]/a", "unix://[fe80::1%25e^n]/a", "unix://[fe80::1%25é]/a", "unix://[v1.x]/a",
    "unix://[[::1]]/a", "unix://[::1]]/a", "unix://[::01]/a", "unix://[::00001]/a", "unix://[1::2::3]/a",
    "unix://[::%31]/a",
];

/// Cache sizes, and what else could stand for a number.
pub(super) const NUMBERS: &[&str] = &[
    "1000", "1", "-1", "0", "-0", "2147483647", "2147483648", "-2147483648", "-2147483649", "1.0", "1.5",
    "-1.0", "1e3", "1.5e1", "1e-1", "1e10", "1e100", "1e400", ".5", "100.", "0x10", "0755", "08", "0o17",
    "0b11", "1_000", "+5", "'5'", "\"5\"", "~", "null", "", "true", "[]", "{}", "9223372036854775807",
    "9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775809",
    "99999999999999999999999", "!!int 5", "!!int '5'", "!!float 5", "!!str 5", ".inf", "-.inf", ".nan",
    "1:30", "2026-11-23", "-0.0", "0.0", "1e0", "10e-1", "2147483647.0", "2147483648.0",
    "1000000000000000000000.0", "0.1e1", "100000000000000000000000000e-23", "0x7fffffff", "0x80000000",
];

/// `apiVersion` of a kms provider.
pub(super) const KMS_VERSIONS: &[&str] = &[
    "v1", "v3", "", "V2", "v2 ", "v2beta1", "v1beta1", "2",
];

/// `apiVersion` and `kind` of the file.
pub(super) const VERSIONS: &[&str] = &[
    "apiserver.config.k8s.io/v1", "v1", "", "/", "/v1", "v1/", "apiserver.config.k8s.io/",
    "apiserver.config.k8s.io", "apiserver.config.k8s.io/v1/", "apiserver.config.k8s.io/v1/v1",
    "apiserver.config.k8s.io/v1alpha1", "apiserver.config.k8s.io/v2", "apiserver.config.k8s.io/__internal",
    "__internal", "Apiserver.config.k8s.io/v1", "apiserver.config.k8s.io/V1", " apiserver.config.k8s.io/v1",
    "config.k8s.io/v1", "apiserver.k8s.io/v1", "//v1", "meta.k8s.io/v1",
];

pub(super) const KINDS: &[&str] = &[
    "EncryptionConfiguration", "EncryptionConfig", "encryptionconfiguration", "", " ",
    "EncryptionConfigurationList", "AdmissionConfiguration", "AuthenticationConfiguration",
    "TracingConfiguration", "EgressSelectorConfiguration", "Status", "List", "Encryption",
];

/// Names of fields, right, nearly right and wrong.
pub(super) const FIELDS: &[&str] = &[
    "apiVersion", "kind", "resources", "providers", "aesgcm", "aescbc", "secretbox", "identity", "kms",
    "keys", "name", "secret", "endpoint", "timeout", "cachesize", "APIVersion", "apiversion", "ApiVersion",
    "Kind", "KIND", "\u{212a}ind", "Resources", "Providers", "aesGCM", "AESCBC", "Secretbox", "KMS", "Keys",
    "Name", "Secret", "cacheSize", "CacheSize", "metadata", "size", "", " ", "name ", "<<", "ſecret",
    "keyſ",
];

/// Base64 of 32 bytes and near it.
pub(super) const SECRETS: &[&str] = &[
    "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
    "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc==", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n",
    "\nBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "BwcHBwcHBw\r\ncHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
    "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc\n=", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc= ",
    " BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "BwcHBwcHBw cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
    "BwcHBwcHBw\tcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwd=",
    "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwf=", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBw-=",
    "BwcHBwcHBw=cHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=AAAA",
    "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "", "=",
    "====", "\n", "AAAA", "AA==", "A", "AA", "AAA", "AAA=", "A===", "é",
    "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwé=", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\u{0}",
    "____", "BwcHBwcHBwcHBwcHBwcHBw==", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH",
    "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH",
];

/// What is put between bytes: everything that means something to YAML or JSON.
pub(super) const TOKENS: &[&str] = &[
    " ", "  ", "\t", "\n", "\r", "\r\n", "\n\n", "\n  ", "\n\t", ":", ": ", "-", "- ", "---", "\n---\n",
    "...", "\n...\n", "#", " #", ",", "[", "]", "{", "}", "'", "\"", "\\", "&a ", "*a", "*a ", "!", "!!",
    "!!str ", "! ", "|", ">", "|\n", "%", "?", "? ", "@", "`", "~", "<<: ", "=", "0", "a", "\u{feff}",
    "\u{85}", "\u{a0}", "\u{2028}", "\u{0}", "\u{1}", "\u{7f}", "é", "\u{fffe}", "😀",
];
