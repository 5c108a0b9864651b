use super::*;

fn only_public() -> Guard {
    Guard { block_private: true, ..Guard::default() }
}

/// The address, port and name as a URL has them.
fn check(guard: &Guard, url: &str) -> Result<(), Blocked> {
    let url = reqwest::Url::parse(url).expect("a URL");
    guard.check_host(url.host_str().expect("a host"), url.port_or_known_default().expect("a port"))
}

/// Sixty ways to write an address, most of them of one's own network. Names are looked up elsewhere.
// Seen failing with the embedded addresses left out, and with [100, 64..=127, ..].
const ADDRESSES: [(&str, bool); 60] = [
    ("http://127.0.0.1/", false),
    ("http://127.1/", false),
    ("http://127.255.255.254:8080/", false),
    ("http://2130706433/", false),
    ("http://0x7f000001/", false),
    ("http://0x7f.1/", false),
    ("http://0177.0.0.1/", false),
    ("http://017700000001/", false),
    ("http://0/", false),
    ("http://0.0.0.0/", false),
    ("http://127.0.0.1./", false),
    ("http://127。0。0。1/", false),
    ("http://①②⑦.⓪.⓪.①/", false),
    ("http://%31%32%37.0.0.1/", false),
    ("http://user:pass@127.0.0.1/", false),
    ("http://1.1.1.1@127.0.0.1/", false),
    ("http://[::1]/", false),
    ("http://[0:0:0:0:0:0:0:1]/", false),
    ("http://[::]/", false),
    ("http://[::ffff:127.0.0.1]/", false),
    ("http://[::ffff:7f00:1]/", false),
    ("http://[::127.0.0.1]/", false),
    ("http://[64:ff9b::7f00:1]/", false),
    ("http://[64:ff9b:1::1]/", false),
    ("http://[2002:7f00:1::]/", false),
    ("http://[2002:a9fe:a9fe::1]/", false),
    ("http://10.0.0.1/", false),
    ("http://10.255.255.255/", false),
    ("http://167772161/", false),
    ("http://172.16.0.1/", false),
    ("http://172.31.255.255/", false),
    ("http://192.168.1.1/", false),
    ("http://192.168.257/", false),
    ("http://[::ffff:192.168.1.1]/", false),
    ("http://100.64.0.1/", false),
    ("http://100.127.255.255/", false),
    ("http://169.254.169.254/latest/meta-data/", false),
    ("http://2852039166/", false),
    ("http://0xA9FEA9FE/", false),
    ("http://[::ffff:a9fe:a9fe]/", false),
    ("http://[fe80::1]/", false),
    ("http://[febf::1]/", false),
    ("http://[fc00::1]/", false),
    ("http://[fd00:ec2::254]/", false),
    ("http://[ff02::1]/", false),
    ("http://[2001:db8::1]/", false),
    ("http://[2001::1]/", false),
    ("http://192.0.2.1/", false),
    ("http://198.18.0.1/", false),
    ("http://198.51.100.7/", false),
    ("http://203.0.113.9/", false),
    ("http://224.0.0.1/", false),
    ("http://255.255.255.255/", false),
    ("http://1.1.1.1/", true),
    ("http://172.32.0.1/", true),
    ("http://100.128.0.1/", true),
    ("http://[2606:4700::1111]/", true),
    ("http://[::ffff:1.1.1.1]/", true),
    ("http://[64:ff9b::101:101]/", true),
    ("http://example.com/", true),
];

#[test]
fn an_address_of_ones_own_network_is_seen_however_it_is_written() {
    for (url, public) in ADDRESSES {
        assert_eq!(check(&only_public(), url).is_ok(), public, "{url}");
        assert_eq!(check(&Guard::default(), url), Ok(()), "{url}: nothing is forbidden by default");
    }
    let said = check(&only_public(), "http://0xA9FEA9FE/").expect_err("link-local").to_string();
    assert_eq!(said, "169.254.169.254 is at 169.254.169.254, a link-local address, which --block-private forbids");
}

fn allowing(hosts: &[&str]) -> Guard {
    let allow_hosts = hosts.iter().map(|host| host.parse().expect("a pattern")).collect();
    Guard { allow_hosts, ..Guard::default() }
}

// Seen failing with `*.example.com` taken for a mere end of the name.
#[test]
fn only_the_hosts_that_are_named_are_asked() {
    let guard = allowing(&["API.example.com", "*.example.org", "10.0.0.7:8080", "[::1]"]);
    let allowed = [
        "https://api.example.com/",
        "https://API.EXAMPLE.COM.:444/x",
        "http://a.example.org/",
        "http://b.a.example.org:81/",
        "http://10.0.0.7:8080/",
        "http://0x0a000007:8080/",
        "http://[0::1]:99/",
    ];
    let blocked = [
        "https://example.com/",
        "https://api.example.com.evil.net/",
        "https://xapi.example.com/",
        "http://example.org/",
        "http://evilexample.org/",
        "http://a.example.org.evil.net/",
        "http://10.0.0.7/",
        "http://api.example.com@evil.net/",
        "http://evil.net/?api.example.com",
        "http://аpi.example.com/", // a Cyrillic letter
    ];
    for url in allowed {
        assert_eq!(check(&guard, url), Ok(()), "{url}");
    }
    for url in blocked {
        assert!(check(&guard, url).is_err(), "{url}");
    }
    let both = Guard { block_private: true, ..allowing(&["10.0.0.7"]) };
    assert!(check(&both, "http://10.0.0.7/").is_err(), "both rules hold");
}

#[test]
fn a_pattern_reads_back_as_it_is_written() {
    for text in ["api.example.com", "*.example.com", "x:443", "*.x.y:80", "10.0.0.7", "[::1]", "[::1]:8080"] {
        assert_eq!(text.parse::<HostPattern>().expect("a pattern").to_string(), text);
    }
    assert_eq!("::1".parse::<HostPattern>().expect("a pattern").to_string(), "[::1]");
    for wrong in ["", "*", "*.", "a..b", "http://x", "x/y", "a b", "x:99999", "x:", "*.*.x", "é.fr", "[::1", "-.-/"] {
        assert!(wrong.parse::<HostPattern>().is_err(), "{wrong}");
    }
}
