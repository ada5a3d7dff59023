//! What an attempt met on the network, and what to type next, with the names that count on this machine.

use std::borrow::Cow;

use proto_core::{Obstacle, device::control::ProxyRow, effect::NetFault};

use crate::plain::Line;

/// What was met, to follow a reason; and by which proxy, where it does not speak of one already.
pub(crate) fn met(obstacle: Option<Obstacle>, proxy: Option<&ProxyRow>) -> String {
    match (obstacle, proxy) {
        (None, _) => String::new(),
        (Some(met), None) => format!(": {met}"),
        (Some(met), Some(proxy)) => format!(": {met} (by the proxy {})", Line(&proxy.address)),
    }
}

/// What helps, where that is known.
pub(crate) fn remedy(obstacle: Obstacle, proxy: Option<&ProxyRow>) -> Option<Cow<'static, str>> {
    let Some(ProxyRow { address, variable }) = proxy else { return obstacle.remedy().map(Cow::Borrowed) };
    let address = Line(address);
    Some(Cow::Owned(match obstacle {
        Obstacle::Fault(NetFault::ProxyStatus(407)) | Obstacle::Status(407) => {
            format!("{variable}=http://USER:PASSWORD@{address} vpd restart   (the proxy wants a user and a password)")
        }
        Obstacle::Fault(NetFault::ProxyStatus(_)) => {
            format!("ask who runs the proxy to let this machine through; or without it: {variable}= vpd restart")
        }
        Obstacle::Fault(fault) if fault.is_of_proxy() => {
            format!("{variable}= vpd restart   (without a proxy; or with the right one: {variable}=http://HOST:PORT vpd restart)")
        }
        other => return other.remedy().map(Cow::Borrowed),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> ProxyRow {
        ProxyRow { address: "proxy.corp:3128".into(), variable: "https_proxy".into() }
    }

    #[test]
    fn a_proxy_is_named_with_the_variable_that_changes_it() {
        let says = |fault| remedy(Obstacle::Fault(fault), Some(&proxy())).unwrap();
        let password = says(NetFault::ProxyStatus(407));
        assert!(password.starts_with("https_proxy=http://USER:PASSWORD@proxy.corp:3128 vpd restart "), "{password}");
        assert!(says(NetFault::ProxyStatus(403)).ends_with("https_proxy= vpd restart"));
        for fault in
            [NetFault::ProxyDns, NetFault::ProxyUnreachable, NetFault::ProxyTls, NetFault::ProxyBroken, NetFault::ProxyInvalid]
        {
            assert!(says(fault).starts_with("https_proxy= vpd restart "), "{fault}");
        }
        assert_eq!(remedy(Obstacle::Fault(NetFault::Refused), Some(&proxy())), None);
        assert!(says(NetFault::Dns).contains("host name"));
    }

    #[test]
    fn what_was_met_names_the_way() {
        assert_eq!(met(None, Some(&proxy())), "");
        let away = Some(Obstacle::Fault(NetFault::TimedOut));
        assert_eq!(met(away, None), ": there was no answer in time");
        assert_eq!(met(away, Some(&proxy())), ": there was no answer in time (by the proxy proxy.corp:3128)");
    }
}
