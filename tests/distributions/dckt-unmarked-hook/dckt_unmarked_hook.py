"""A distribution that forgets `@hookimpl`; without a word of warning its hook would never be called."""


def dckt_encoders():
    return []
