"""Neutron's v2.0: networks, subnets, ports, routers, floating IPs and security groups."""
