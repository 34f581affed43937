"""What the alarms do: CloudWatch's evaluation, over what AWS sends while something happens."""
