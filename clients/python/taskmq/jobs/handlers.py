"""The registry: handler name -> function.

    @register_handler("send_email")
    def send_email(job): ...

    register_handler("send_email", send_email)      # the same, without @
"""

HANDLERS = {}


def register_handler(name, func=None):
    """Registers func under name; without func it is a decorator.

    The last registration of a name wins. Returns the function unchanged.
    """
    if not isinstance(name, str) or not name:
        raise TypeError("register_handler: the name must be a string, as in"
                        " @register_handler(\"send_email\")")

    def register(function):
        if not callable(function):
            raise TypeError("register_handler(%r): %r is not callable"
                            % (name, function))
        HANDLERS[name] = function
        return function

    return register if func is None else register(func)


def get_handler(name):
    """The function registered under name, or None."""
    return HANDLERS.get(name)


@register_handler("dummy")
def dummy_handler(job):
    """The handler that TaskMQ's documents use in their examples."""
    print("dummy handler: job %s, payload %s" % (job.id, job.payload))
