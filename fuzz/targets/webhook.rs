//! The check of webhook URLs. An accepted host must be a name, or an address that the standard library doesn't class as
//! special.
#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::webhook::{Secret, Sender};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

static SENDER: LazyLock<Sender> = LazyLock::new(|| Sender::from_env().expect("the settings are valid"));

fuzz_target!(|text: &str| {
    let _ = text.parse::<Secret>();
    if let Ok(url) = SENDER.accepts(text) {
        assert_eq!(url.scheme(), "https");
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        assert!(!host.parse().is_ok_and(is_special), "{url}");
    }
});

fn is_special(ip: IpAddr) -> bool {
    let is_special_v4 = |ip: Ipv4Addr| {
        ip.is_private()
            || ip.is_loopback()
            || ip.is_link_local()
            || ip.is_unspecified()
            || ip.is_multicast()
            || ip.is_broadcast()
            || ip.is_documentation()
    };
    match ip {
        IpAddr::V4(ip) => is_special_v4(ip),
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_multicast()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.to_ipv4().is_some_and(is_special_v4)
        }
    }
}
