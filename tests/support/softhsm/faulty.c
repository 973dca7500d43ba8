/*
 * A PKCS#11 module that passes everything on to the one that REAL_MODULE names, but for the faults in the
 * file that FAULTS names, looked up at each call: lines of a function and what it does instead. Adds
 * the function's name to the file that CALLS names.
 *
 *   C_Encrypt crash          reads where nothing is
 *   C_Encrypt hang           never returns
 *   C_Encrypt slow           takes two seconds
 *   C_Encrypt 0x30           answers that
 *   C_EncryptInit own-iv     takes no IV but zeros, and makes one itself, as some HSMs do
 *   C_GetMechanismInfo no-gcm
 *   C_GetTokenInfo 0x20000   has these flags besides
 */
#include "cryptoki.h"
#include <sys/random.h>
#include <unistd.h>

static struct CK_FUNCTION_LIST ours, *real;

/* Whether the function has a fault, and which. */
static int fault(const char *function, char what[32]) {
    FILE *calls = fopen(getenv("CALLS"), "a");
    fprintf(calls, "%s\n", function);
    fclose(calls);
    FILE *faults = fopen(getenv("FAULTS"), "r");
    char name[32];
    int found = 0;
    while (faults && !found && fscanf(faults, "%31s %31s", name, what) == 2)
        found = strcmp(name, function) == 0;
    if (faults)
        fclose(faults);
    if (found && strcmp(what, "crash") == 0)
        *(volatile int *)8 = 0;
    while (found && strcmp(what, "hang") == 0)
        pause();
    if (found && strcmp(what, "slow") == 0) {
        sleep(2);
        return 0;
    }
    return found;
}

#define PASS_ON(name, parameters, arguments)                          \
    static CK_RV our_##name parameters {                              \
        char what[32];                                                \
        if (fault(#name, what))                                       \
            return strtoul(what, NULL, 0);                            \
        return ((CK_RV(*) parameters)real->functions[name])arguments; \
    }

PASS_ON(C_Initialize, (void *a), (a))
PASS_ON(C_GetSlotList, (unsigned char a, CK_ULONG *b, CK_ULONG *c), (a, b, c))
PASS_ON(C_OpenSession, (CK_ULONG a, CK_ULONG b, void *c, void *d, CK_ULONG *e), (a, b, c, d, e))
PASS_ON(C_Login, (CK_ULONG a, CK_ULONG b, void *c, CK_ULONG d), (a, b, c, d))
PASS_ON(C_FindObjectsInit, (CK_ULONG a, void *b, CK_ULONG c), (a, b, c))
PASS_ON(C_Encrypt, (CK_ULONG a, void *b, CK_ULONG c, void *d, CK_ULONG *e), (a, b, c, d, e))
PASS_ON(C_DecryptInit, (CK_ULONG a, void *b, CK_ULONG c), (a, b, c))
PASS_ON(C_Decrypt, (CK_ULONG a, void *b, CK_ULONG c, void *d, CK_ULONG *e), (a, b, c, d, e))

static CK_RV our_C_GetTokenInfo(CK_ULONG slot, struct CK_TOKEN_INFO *info) {
    char what[32];
    CK_RV answer = ((CK_RV(*)(CK_ULONG, void *))real->functions[C_GetTokenInfo])(slot, info);
    if (fault("C_GetTokenInfo", what))
        info->flags |= strtoul(what, NULL, 0);
    return answer;
}

static CK_RV our_C_GetMechanismInfo(CK_ULONG slot, CK_ULONG mechanism, void *info) {
    char what[32];
    if (fault("C_GetMechanismInfo", what) && mechanism == CKM_AES_GCM)
        return 0x70; /* CKR_MECHANISM_INVALID */
    return ((CK_RV(*)(CK_ULONG, CK_ULONG, void *))real->functions[C_GetMechanismInfo])(slot, mechanism, info);
}

static CK_RV our_C_EncryptInit(CK_ULONG session, struct CK_MECHANISM *mechanism, CK_ULONG key) {
    char what[32];
    if (fault("C_EncryptInit", what)) {
        if (strcmp(what, "own-iv") != 0)
            return strtoul(what, NULL, 0);
        struct CK_GCM_PARAMS *gcm = mechanism->parameter;
        for (CK_ULONG at = 0; at < gcm->iv_len; at++)
            if (gcm->iv[at] != 0)
                return 0x71; /* CKR_MECHANISM_PARAM_INVALID */
        if (getrandom(gcm->iv, gcm->iv_len, 0) != (ssize_t)gcm->iv_len)
            return 5; /* CKR_GENERAL_ERROR */
    }
    return ((CK_RV(*)(CK_ULONG, void *, CK_ULONG))real->functions[C_EncryptInit])(session, mechanism, key);
}

CK_RV C_GetFunctionList(struct CK_FUNCTION_LIST **list) {
    real = load(getenv("REAL_MODULE"));
    ours = *real;
    ours.functions[C_Initialize] = our_C_Initialize;
    ours.functions[C_GetSlotList] = our_C_GetSlotList;
    ours.functions[C_GetTokenInfo] = our_C_GetTokenInfo;
    ours.functions[C_GetMechanismInfo] = our_C_GetMechanismInfo;
    ours.functions[C_OpenSession] = our_C_OpenSession;
    ours.functions[C_Login] = our_C_Login;
    ours.functions[C_FindObjectsInit] = our_C_FindObjectsInit;
    ours.functions[C_EncryptInit] = our_C_EncryptInit;
    ours.functions[C_Encrypt] = our_C_Encrypt;
    ours.functions[C_DecryptInit] = our_C_DecryptInit;
    ours.functions[C_Decrypt] = our_C_Decrypt;
    *list = &ours;
    return 0;
}
