import json, os, platform, sys, sysconfig

own_jit = "absent"
if hasattr(sys, "_jit") and sys._jit.is_available():
    # PYTHON_JIT is unset here, so this is the build's own default.
    own_jit = "on" if sys._jit.is_enabled() else "off"
library = None
if sysconfig.get_config_var("Py_ENABLE_SHARED"):
    # The folder in sysconfig is the build's, not always this machine's: what is mapped is what runs.
    name = sysconfig.get_config_var("INSTSONAME") or "libpython"
    try:
        with open("/proc/self/maps") as maps:
            library = next((line.split(None, 5)[5].strip() for line in maps if name in line), None)
    except OSError:
        pass
print(json.dumps({
    "implementation": sys.implementation.name,
    "version": list(sys.version_info),
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "debug": hasattr(sys, "gettotalrefcount"),
    "ext_suffix": sysconfig.get_config_var("EXT_SUFFIX") or ".so",
    "include": sysconfig.get_path("include") or os.path.join(sys.base_prefix, "include"),
    "own_jit": own_jit,
    "config_args": sysconfig.get_config_var("CONFIG_ARGS") or "",
    "opt": sysconfig.get_config_var("OPT") or "",
    "compiler": platform.python_compiler(),
    "library": library,
}))
