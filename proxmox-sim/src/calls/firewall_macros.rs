//! Names of the firewall's macros: services that a rule may name instead of ports.

const MACROS: &str = "Amanda Auth BGP BitTorrent BitTorrent32 Ceph CVS DAAP DCC DHCPfwd DHCPv6 DNS Distcc FTP \
    Finger GNUnet GRE Git HKP HTTP HTTP/3 HTTPS ICPV2 ICQ IMAP IMAPS IPIP IPsec IPsecah IPsecnat IRC Jetdirect \
    L2TP LDAP LDAPS MDNS MSNP MSSQL Mail MongoDB Munin MySQL NNTP NNTPS NTP NeighborDiscovery OSPF OpenVPN \
    PBS PCA PMG POP3 POP3S PPtP Ping PostgreSQL Printer RDP RIP RNDC Razor Rdate Rsync SANE SIP SMB SMBswat \
    SMTP SMTPS SNMP SPAMD SPICEproxy SSH SVN SixXS Squid Submission Syslog TFTP Telnet Telnets Time Trcrt \
    VNC VNCL Web Webcache Webmin Whois";

/// Whether there is a macro of that name, in any case of letters.
pub(super) fn known(name: &str) -> bool {
    MACROS.split_whitespace().any(|known| known.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_does_not_matter() {
        assert!(known("HTTP") && known("http") && known("Ping"));
        assert!(!known("NoSuchMacro"));
    }
}
