def test_placeholder_enumeration():
    from coursekit import mdp

    assert mdp.J(mdp.bandit(1.0), [[0.0]]) == 1.0
