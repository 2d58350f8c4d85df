"""`make release-check`: whether what would be published is what somebody expects to install."""
