from ipaddress import IPv4Address, ip_address, ip_network

from django.http import HttpRequest


def truncated(address: str) -> str:
    """The network an IP address is in: /24 for IPv4, /48 for IPv6; "" for rubbish.

    Enough to tell one network's abuse from another's, too little for one person.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    # ::ffff:192.0.2.1 is how a dual-stack socket writes an IPv4 address (RFC 4291).
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    length = 24 if isinstance(parsed, IPv4Address) else 48
    return str(ip_network(f"{parsed}/{length}", strict=False))


def network_of(request: HttpRequest) -> str:
    """The network that a request comes from, `truncated`; "" where it isn't known."""
    return truncated(request.META.get("REMOTE_ADDR", ""))
