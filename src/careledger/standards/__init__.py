"""Pure codecs of the industry's formats. No I/O."""
