"""A whole cloud on one machine: its layout, namespaces, processes, and what is said of them."""
