"""The Documents domain: what lies in S3 becomes searchable, exactly once, whatever is uploaded."""
