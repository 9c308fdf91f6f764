class Refused(Exception):
    """A verb said no; the message tells a person why and what to do instead."""
