"""Networks, subnets, ports, routers, floating IPs, security groups, and what each host's network is to be."""
