import json, sys

if "_pepjit_start" in sys.modules:
    import pepjit  # This process ends before the starter would load it.
own = getattr(sys, "_jit", None)
module = sys.modules.get("pepjit")
print(json.dumps({
    "loaded": module is not None,
    "enabled": bool(module is not None and module.is_enabled()),
    "own_jit": bool(own is not None and own.is_enabled()),
}))
