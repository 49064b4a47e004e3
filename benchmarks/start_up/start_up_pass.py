"""What `python -c pass` takes."""

import children

if __name__ == "__main__":
    children.main("start_up_pass", "pass")
