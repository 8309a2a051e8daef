"""What a person may choose: the catalog seen through the groups of a person. Pure."""
