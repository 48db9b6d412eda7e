"""Where units of work run: in this process, in several on this machine, or in Ray's workers."""
