"""Makes the folder `module` beside this file part of the interpreter's site.

Its .pth file decides, by the environment, whether the JIT is loaded.
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


_extend_site()
