"""Who is told of an alarm, on which channel, and what if nobody answers (docs/notices.md).

    file.py        notify.toml -> Plan: channels, contacts, shifts, routes
    plan.py        who is meant by "shift:days" or "role:water_operator", now and for this device (pure)
    escalation.py  which step of which route is due for which alarm (pure)
    message.py     what a message says (pure)
    postbox.py     bundles, waits through quiet hours, tries again
    sending.py     hands a message to its channel (Apprise)
    notifier.py    all of it together, behind the alarms and never in front of them

An alarm is never held up by a message: the notifier is told of alarms after everybody else, and works beside them.
"""
