"""Judgement: conditions over readings that raise and clear alarms."""
