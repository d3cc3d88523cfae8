use super::*;

fn printed(text: &str) -> String {
    Matcher::parse_list(text).map_or_else(|complaint| format!("! {complaint}"), |all| render_list(&all))
}

#[test]
fn both_ways_of_writing_are_read() {
    for (text, read) in [
        ("", "{}"),
        ("{}", "{}"),
        ("a=b", r#"{a="b"}"#),
        (r#"{a="b", c!="d",}"#, r#"{a="b",c!="d"}"#),
        (r#"a =~ "x|y" , b!~z"#, r#"{a=~"x|y",b!~"z"}"#),
        // Only the newer way.
        (r#""a b"="c""#, r#"{"a b"="c"}"#),
        ("🙂=🙃", r#"{🙂="🙃"}"#),
        ("a.b=c", r#"{a.b="c"}"#),
        (r#" { "a"="\x41\u00e9\101" } "#, r#"{a="AéA"}"#),
        // Only the older way.
        ("a=b=c", r#"{a="b=c"}"#),
        ("a=b c", r#"{a="b c"}"#),
        ("a=~b{2}.", r#"{a=~"b{2}."}"#),
        ("a=~b{2}", r#"{a=~"b{2"}"#), // The brace at the end is taken for the list's, in Alertmanager too.
        (r"a=~\d+", r#"{a=~"\\d+"}"#),
        ("a=", r#"{a=""}"#),
        ("{a=b", r#"{a="b"}"#),
        ("a=b}", r#"{a="b"}"#),
        (r#"a=", b=""#, r#"{a=", b="}"#),
        // Both take it but differ: the older counts.
        (r#"a="\d""#, r#"{a="\\d"}"#),
        (r#"a="\t""#, r#"{a="\\t"}"#),
        (r#"{a="She said: \"Hi, all\""}"#, r#"{a="She said: \"Hi, all\""}"#),
    ] {
        assert_eq!(printed(text), read, "{text}");
    }
}

#[test]
fn what_neither_way_takes_is_refused() {
    for (text, complaint) in [
        ("a", "! bad matcher format: a"),
        (",", "! bad matcher format: "),
        ("a=b,,c=d", "! bad matcher format: "),
        ("=b", "! bad matcher format: =b"),
        (r#"a="b"#, "! matcher value contains unescaped double quote: \"b"),
        (r#"a=b"c"#, "! matcher value contains unescaped double quote: b\"c"),
        (r#"a="b\""#, "! matcher value contains unescaped double quote: \"b\\\""),
        (r#"a="b"c""#, "! matcher value contains unescaped double quote: \"b\"c\""),
        ("a=~(", "! `(` is not a regular expression"),
        ("\"a\"=\"\\xff\"", "! bad matcher format: \"a\"=\"\\xff\""),
    ] {
        assert_eq!(printed(text), complaint, "{text}");
    }
    assert_eq!(Matcher::parse("{a=b}").unwrap_err(), "unexpected open or close brace: {a=b}");
    assert!(Matcher::parse("").is_err());
    assert!(Matcher::parse("\"a\"=b,c=d").is_err());
    // One matcher in the older way: what comes after the comma is of the value.
    assert_eq!(Matcher::parse("a=b,c=d").unwrap().value(), "b,c=d");
}

#[test]
fn matchers_take_what_they_say_and_an_absent_label_is_empty() {
    let labels = Labels::new([("a", "foo\nbar"), ("severity", "critical")]);
    for (text, takes) in [
        ("severity=critical", true),
        ("severity=crit", false),
        ("severity=~crit", false),
        ("severity=~crit.*", true),
        ("severity!~warn.*", true),
        ("severity!=critical", false),
        ("gone=\"\"", true),
        ("gone!=x", true),
        ("gone=~.*", true),
        ("gone=~.+", false),
        ("gone!~.+", true),
        // As in Alertmanager, and unlike PromQL, a dot takes no newline.
        ("a=~foo.bar", false),
        ("a=\"foo\\nbar\"", true),
    ] {
        assert_eq!(Matcher::parse(text).unwrap().takes(&labels), takes, "{text}");
    }
}

#[test]
fn matchers_are_ordered_by_name_value_and_operator() {
    let mut all = Matcher::parse_list("b=1,a!=2,a=2,a=~1").unwrap();
    all.sort();
    assert_eq!(render_list(&all), r#"{a=~"1",a="2",a!="2",b="1"}"#);
}

proptest::proptest! {
    #[test]
    fn whatever_is_printed_is_read_as_the_same(name in "[a-z ={}\"é.\\\\]{1,5}", value in "[ -~\\né]{0,8}", flags: (bool, bool)) {
        let operator = Operator::of_flags(flags.0, flags.1);
        if let Ok(matcher) = Matcher::new(name, operator, value) {
            proptest::prop_assert_eq!(&Matcher::parse_list(&render_list(std::slice::from_ref(&matcher))).unwrap(), &[matcher]);
        }
    }

    #[test]
    fn no_text_breaks_the_parsers(text in "[a{}=!~,\"\\\\ é\\nxu0-9]{0,24}") {
        let _ = (Matcher::parse(&text), Matcher::parse_list(&text));
    }
}
