from ipaddress import IPv4Address, ip_address, ip_network


def truncated(address: str) -> str:
    """The network an IP address is in: /24 for IPv4, /48 for IPv6; "" for rubbish.

    Enough to tell one network's abuse from another's, too little for one person.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    length = 24 if isinstance(parsed, IPv4Address) else 48
    return str(ip_network(f"{parsed}/{length}", strict=False))
