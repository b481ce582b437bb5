"""What flows about reviews of shops need, and sdg_prefect does not have."""
