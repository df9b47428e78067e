"""Why is there no depth? Findings about what arrives and what does not, each a sentence with its remedy.

``Doctor`` looks for the node, ``ffs doctor`` looks at a running graph without it. docs/doctor.md lists the findings.
"""
