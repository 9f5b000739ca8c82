"""Images, disks and volumes of this host."""
