/* What of the interface of PKCS#11 2.40 the two programs here touch; names and numbers are its. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long CK_ULONG;
typedef CK_ULONG CK_RV;

enum {
    C_Initialize = 0,
    C_GetSlotList = 4,
    C_GetTokenInfo = 6,
    C_GetMechanismInfo = 8,
    C_OpenSession = 12,
    C_Login = 18,
    C_DestroyObject = 22,
    C_SetAttributeValue = 25,
    C_FindObjectsInit = 26,
    C_FindObjects = 27,
    C_FindObjectsFinal = 28,
    C_EncryptInit = 29,
    C_Encrypt = 30,
    C_DecryptInit = 33,
    C_Decrypt = 34,
    C_GenerateKey = 58,
    FUNCTIONS = 68,
};

struct CK_FUNCTION_LIST {
    unsigned char major, minor;
    void *functions[FUNCTIONS];
};

struct CK_TOKEN_INFO {
    char label[32], manufacturer[32], model[16], serial[16];
    CK_ULONG flags, counts[10];
    unsigned char versions[4];
    char time[16];
};

struct CK_MECHANISM {
    CK_ULONG mechanism;
    void *parameter;
    CK_ULONG parameter_len;
};

struct CK_GCM_PARAMS {
    unsigned char *iv;
    CK_ULONG iv_len, iv_bits;
    unsigned char *aad;
    CK_ULONG aad_len, tag_bits;
};

struct CK_ATTRIBUTE {
    CK_ULONG type;
    void *value;
    CK_ULONG len;
};

#define CKM_AES_GCM 0x1087UL

static struct CK_FUNCTION_LIST *load(const char *path) {
    void *module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    CK_RV (*list)(struct CK_FUNCTION_LIST **) = module ? dlsym(module, "C_GetFunctionList") : NULL;
    struct CK_FUNCTION_LIST *functions = NULL;
    if (!list || list(&functions) != 0) {
        fprintf(stderr, "cannot load the module %s\n", path ? path : "(none)");
        exit(1);
    }
    return functions;
}
