"""bash_kernel without the wait of 50 ms before each line that it sends to its shell.

pexpect waits so that a program that asks for a password has turned its echo off.
This shell never echoes, and the lines of its start would take two seconds.
"""
# ruff: noqa: INP001 - it is copied to where the image's Python looks for modules

import pexpect


class _PromptSpawn(pexpect.spawn):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.delaybeforesend = None


if __name__ == "__main__":
    pexpect.spawn = _PromptSpawn
    from bash_kernel.kernel import BashKernel
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(kernel_class=BashKernel)
