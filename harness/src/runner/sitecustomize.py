"""Makes the folder `module` beside this file part of the interpreter's site.

Its .pth file decides, by the environment, whether the JIT is loaded. A tier that its user declared brings
`declared.json`: Python that turns its JIT on, and an expression that proves it at the end.
"""


def _extend_site():
    import os
    import site
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    site.addsitedir(os.path.join(here, "module"))
    # The environment may have a sitecustomize of its own, which this one hides.
    sys.path[:] = [entry for entry in sys.path if entry != here]
    mine = sys.modules.pop("sitecustomize")
    try:
        import sitecustomize  # noqa: F401
    except ImportError as error:
        sys.modules["sitecustomize"] = mine  # The import system wants to find a module here.
        if error.name != "sitecustomize":
            raise


def _declared():
    import os
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    path = os.path.join(here, "declared.json")
    if not os.path.exists(path):
        return
    import atexit
    import json

    with open(path) as file:
        declared = json.load(file)
    namespace = {"__name__": "declared_tier"}
    try:
        exec(declared["setup"], namespace)
    except Exception as error:
        print(f"the tier's setup failed: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(70)

    def prove():
        file = os.environ.get("PEPJIT_STATS")
        if file:
            with open(file, "w") as out:
                json.dump({"tier_proof": int(eval(declared["prove"], namespace))}, out)

    if declared["prove"]:
        atexit.register(prove)


_extend_site()
_declared()
