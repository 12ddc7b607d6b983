"""The account of what happened: windows, records, actions and rejections, in one DynamoDB table."""
